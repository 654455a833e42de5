/* A correlation: result[row][column] = Σ_k weights[row][k] · source[place of column + place of k] (+ bias[row]), zeros outside the
 * source. The forward direction of a convolution, and each phase of the gradient of its bottom.
 *
 * Places of k come from a table. With RUN = 8 its entries stand for eight channels of one tap, with RUN = 1 for one. */

typedef struct {
    /* Columns: positions of all images; of one image; of one row. */
    u32 columns, column_plane, column_width;
    Reading reading;
    /* The source: values of a channel, of a group of channels, of an image. */
    u32 plane, source_group, source_image;
    /* The result: where column (0, 0) is written, distances, values of a row, a channel, an image. */
    u32 result_first, result_step_y, result_step_x, result_plane, result_image;
    /* Rows of a group, and with those that fill the last tile; values of a group's weights; steps of DEPTH. */
    u32 rows, padded_rows, weights_group, steps;
} Correlation;

#define ELSEWHERE 0xffffffffu

/* Threads that load a summand's columns stand side by side; so many summands are loaded at once, and so many times. */
/* Blocks of four behind the columns of a summand, so that what is read together lies in different banks. */
#define PAD (TENSOR ? 2 : 0)

#define LINES (256 / COLUMNS)
#define LOADS (DEPTH / LINES)
#define LEFT_LOADS (ROWS * DEPTH / 4)

KERNEL __launch_bounds__(256, 2) correlate(float *__restrict__ result, const float *__restrict__ source,
                                           const float *__restrict__ weights, const u32 *__restrict__ table,
                                           const float *__restrict__ bias, Correlation sizes) {
    SHARED float4 left[2][DEPTH][ROWS / 4 + PAD];
    SHARED float4 right[2][DEPTH][COLUMNS / 4 + PAD];
    SHARED u32 places[COLUMNS];
    EXPECT(blockDim.x == 256);
    u32 row_tiles = sizes.padded_rows / ROWS, first_row = blockIdx.x % row_tiles * ROWS;
    u32 thread = threadIdx.x, line = thread / COLUMNS, column = blockIdx.x / row_tiles * COLUMNS + thread % COLUMNS;
    Seat place = seat();

    /* The column that this thread loads. */
    u32 read = 0, base = 0, written = ELSEWHERE;
    if (column < sizes.columns) {
        u32 image = column / sizes.column_plane, position = column % sizes.column_plane;
        u32 row = position / sizes.column_width, across = position % sizes.column_width;
        read = place_of(sizes.reading, row, across);
        base = image * sizes.source_image + blockIdx.y * sizes.source_group + offset_of(sizes.reading, row, across);
        written = image * sizes.result_image + sizes.result_first + row * sizes.result_step_y + across * sizes.result_step_x;
    }
    if (line == 0) places[thread] = written;

    const float4 *weight = (const float4 *)(weights + blockIdx.y * sizes.weights_group + first_row);
    u32 weight_pitch = sizes.padded_rows / 4;
    weight += thread / (ROWS / 4) * weight_pitch + thread % (ROWS / 4);

    float sums[TALL][WIDE];
#pragma unroll
    for (u32 i = 0; i < TALL; i++) {
#pragma unroll
        for (u32 j = 0; j < WIDE; j++)
            sums[i][j] = 0.0f;
    }
    float4 next_left = make_float4(0.0f, 0.0f, 0.0f, 0.0f);
    float next_right[LOADS];
    for (u32 step = 0; step <= sizes.steps; step++) {
        if (step < sizes.steps) {
            if (LEFT_LOADS == 256 || thread < LEFT_LOADS) next_left = weight[step * DEPTH * weight_pitch];
            const u32 *entry = table + step * (2 * DEPTH / RUN);
            u32 start = 0;
            bool inside = false;
#pragma unroll
            for (u32 load = 0; load < LOADS; load++) {
                u32 first = load * LINES;
#if RUN == 8
                if (first % 8 == 0) {
                    start = base + entry[first / 8 * 2] + line * sizes.plane;
                    inside = is_inside(read, entry[first / 8 * 2 + 1], sizes.reading.last);
                }
                next_right[load] = inside ? source[start + first % 8 * sizes.plane] : 0.0f;
#else
                start = base + entry[(first + line) * 2];
                inside = is_inside(read, entry[(first + line) * 2 + 1], sizes.reading.last);
                next_right[load] = inside ? source[start] : 0.0f;
#endif
            }
        }
        u32 now = step % 2;
        if (step > 0) multiply(&left[1 - now][0][0], ROWS / 4 + PAD, &right[1 - now][0][0], COLUMNS / 4 + PAD, place, sums);
        if (step < sizes.steps) {
            if (LEFT_LOADS == 256 || thread < LEFT_LOADS) left[now][thread / (ROWS / 4)][thread % (ROWS / 4)] = make_float4(
                    factor(next_left.x), factor(next_left.y), factor(next_left.z), factor(next_left.w));
            float *to = (float *)&right[now][line][0] + thread % COLUMNS;
#pragma unroll
            for (u32 load = 0; load < LOADS; load++)
                to[load * LINES * (COLUMNS + 4 * PAD)] = factor(next_right[load]);
        }
        __syncthreads();
    }

    float4 *all = &right[0][0][0];
#pragma unroll
    for (u32 part = 0; part < PARTS; part++) {
        lay_out(all, place, sums, part);
        __syncthreads();
        for (u32 index = thread; index < PART_ROWS * COLUMNS; index += 256) {
            u32 row = first_row + row_of(part, index / COLUMNS), at = places[index % COLUMNS];
            if (row < sizes.rows && at != ELSEWHERE) {
                row += blockIdx.y * sizes.rows;
                float sum = total((const float *)all, index);
                result[at + row * sizes.result_plane] = bias ? sum + bias[row] : sum;
            }
        }
        __syncthreads();
    }
}
