// Bilinear resizing of planes. The host lists, for each place of the result along an axis, which two places of the source it is a
// mixture of; and the other way round, for each place of the source, what it went into.

typedef struct {
    u32 first, second;
    float weights[2];
} Mix;

// A place of the result, and the weight with which a place of the source went into it.
typedef struct {
    u32 place;
    float weight;
} Share;

typedef struct {
    u32 planes, source_rows, source_columns, rows, columns;
} Sizes;

DEVICE float across(Mix column, const float *line) {
    return column.weights[0] * line[column.first] + column.weights[1] * line[column.second];
}

KERNEL bilinear_forward(float *y, const float *x, const Mix *rows, const Mix *columns, Sizes sizes) {
    EACH(value, sizes.planes * sizes.rows * sizes.columns) {
        u32 line = value / sizes.columns, plane = line / sizes.rows;
        Mix row = rows[line - plane * sizes.rows], column = columns[value - line * sizes.columns];
        const float *source = x + plane * sizes.source_rows * sizes.source_columns;
        float upper = across(column, source + row.first * sizes.source_columns);
        float lower = across(column, source + row.second * sizes.source_columns);
        y[value] = row.weights[0] * upper + row.weights[1] * lower;
    }
}

// Shares of row r are row_shares[row_starts[r]..row_starts[r + 1]]; of columns as well.
KERNEL bilinear_backward(
    float *dx, const float *dy, const u32 *row_starts, const Share *row_shares, const u32 *column_starts,
    const Share *column_shares, Sizes sizes) {
    EACH(value, sizes.planes * sizes.source_rows * sizes.source_columns) {
        u32 line = value / sizes.source_columns, plane = line / sizes.source_rows;
        u32 row = line - plane * sizes.source_rows, column = value - line * sizes.source_columns;
        float sum = 0.0f;
        for (u32 r = row_starts[row]; r < row_starts[row + 1]; r++) {
            Share of_row = row_shares[r];
            const float *source = dy + (plane * sizes.rows + of_row.place) * sizes.columns;
            for (u32 c = column_starts[column]; c < column_starts[column + 1]; c++) {
                Share of_column = column_shares[c];
                sum += of_row.weight * of_column.weight * source[of_column.place];
            }
        }
        dx[value] = sum;
    }
}
