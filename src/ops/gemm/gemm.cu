// What goes with products of matrices: a row added to every row, and the sum of all rows.

// c[i][j] += row[j]
KERNEL add_to_rows(float *c, const float *row, u32 count, u32 columns) {
    EACH(index, count) c[index] += row[index % columns];
}

// c[i][j] *= factor; where the factor is 0, whatever c held.
KERNEL scale_result(float *c, u32 count, float factor) {
    EACH(index, count) c[index] = factor == 0.0f ? 0.0f : factor * c[index];
}

// Columns and rows of a block of sum_rows: 32 columns side by side, 8 sums for each.
#define COLUMNS 32
#define LANES 8

// sum[j] += Σ_i c[i][j]: a block takes 32 columns; lane l of a column adds rows l, l + 8, ..., then the lanes are added in their order.
KERNEL sum_rows(float *sum, const float *c, u32 rows, u32 columns) {
    SHARED float of_lanes[LANES][COLUMNS];
    EXPECT(blockDim.x == COLUMNS * LANES && gridDim.x == divide_up(columns, COLUMNS));
    u32 lane = threadIdx.x / COLUMNS, place = threadIdx.x % COLUMNS;
    u32 column = blockIdx.x * COLUMNS + place;
    float total = 0.0f;
    if (column < columns) {
        for (u32 row = lane; row < rows; row += LANES) total += c[row * columns + column];
    }
    of_lanes[lane][place] = total;
    __syncthreads();
    if (lane == 0 && column < columns) {
        for (u32 other = 1; other < LANES; other++) total += of_lanes[other][place];
        sum[column] += total;
    }
}
