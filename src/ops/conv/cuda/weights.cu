/* The gradient of the weights: result[row][k] = Σ_column top[row][column] · source[place of column + place of k], zeros outside the
 * source. The columns, the positions of all images, are cut into parts, a block for each; `add_parts` adds these up. */

typedef struct {
    /* Columns in all, and of a part; divisions by those of an image and of a row. */
    u32 columns, part;
    Division plane, row;
    /* Where column (0, 0) reads for a tap at distance 0, and how far neighbours are apart. */
    i32 first_y, first_x;
    u32 step_y, step_x;
    /* The source: extents, values of a group of channels, of an image. */
    u32 height, width, source_group, source_image;
    /* Values of a channel and an image of the top. */
    u32 top_plane, top_image;
    /* Rows of a group, weights of a row, tiles that the rows are cut into, groups. */
    u32 rows, taps, row_tiles, groups;
} Weighing;

/* Eight threads of a warp load neighbouring summands of one line, the next eight of the next line: so memory is read in whole sectors,
 * and shared memory, whose summands are four banks apart, written without conflicts. */
#define LINES (32 / GROUPS)
#define LEFT_LOADS (ROWS / LINES)
#define RIGHT_LOADS (COLUMNS / LINES)

KERNEL __launch_bounds__(256, 2) weigh(float *__restrict__ result, const float *__restrict__ source, const float *__restrict__ top,
                                       const u32 *__restrict__ table, Weighing sizes) {
    SHARED float4 left[2][DEPTH][ROWS / 4 + 1];
    SHARED float4 right[2][DEPTH][COLUMNS / 4 + 1];
    SHARED u32 offsets[COLUMNS], taps[COLUMNS];
    EXPECT(blockDim.x == 256);
    u32 thread = threadIdx.x, warp = thread / 32;
    u32 summand = thread % 8 + 8 * (warp % GROUPS), line = thread % 32 / 8 + 4 * (warp / GROUPS);
    u32 first_row = blockIdx.x % sizes.row_tiles * ROWS, first_tap = blockIdx.x / sizes.row_tiles * COLUMNS;
    u32 begin = blockIdx.y * sizes.part, end = begin + sizes.part < sizes.columns ? begin + sizes.part : sizes.columns;
    Seat place = seat();
    if (thread < COLUMNS) {
        u32 tap = first_tap + thread;
        offsets[thread] = tap < sizes.taps ? table[2 * tap] : 0;
        taps[thread] = tap < sizes.taps ? table[2 * tap + 1] : NOWHERE;
    }
    __syncthreads();

    source += blockIdx.z * sizes.source_group;
    u32 top_start = (blockIdx.z * sizes.rows + first_row + line) * sizes.top_plane;
    float sums[TALL][WIDE];
#pragma unroll
    for (u32 i = 0; i < TALL; i++) {
#pragma unroll
        for (u32 j = 0; j < WIDE; j++)
            sums[i][j] = 0.0f;
    }
    float next_left[LEFT_LOADS], next_right[RIGHT_LOADS];
    u32 steps = divide_up(end - begin, DEPTH);
    for (u32 step = 0; step <= steps; step++) {
        if (step < steps) {
            u32 column = begin + step * DEPTH + summand, low = 0, high = 0, at = 0;
            i32 base = 0;
            bool exists = column < end;
            if (exists) {
                u32 image = quotient(column, sizes.plane), position = column - image * sizes.plane.divisor;
                u32 row = quotient(position, sizes.row), across = position - row * sizes.row.divisor;
                i32 y = sizes.first_y + (i32)(row * sizes.step_y), x = sizes.first_x + (i32)(across * sizes.step_x);
                low = low_of(y, x);
                high = high_of(y, x, sizes.height, sizes.width);
                base = (i32)(image * sizes.source_image) + y * (i32)sizes.width + x;
                at = top_start + image * sizes.top_image + position;
            }
#pragma unroll
            for (u32 load = 0; load < LEFT_LOADS; load++) {
                bool is_row = exists && first_row + line + load * LINES < sizes.rows;
                next_left[load] = is_row ? top[at + load * LINES * sizes.top_plane] : 0.0f;
            }
#pragma unroll
            for (u32 load = 0; load < RIGHT_LOADS; load++) {
                u32 tap = line + load * LINES;
                next_right[load] = is_inside(low, high, taps[tap]) ? source[(u32)base + offsets[tap]] : 0.0f;
            }
        }
        u32 now = step % 2;
        if (step > 0) multiply(&left[1 - now][0][0], ROWS / 4 + 1, &right[1 - now][0][0], COLUMNS / 4 + 1, place, sums);
        if (step < steps) {
            float *to_left = (float *)&left[now][summand][0] + line, *to_right = (float *)&right[now][summand][0] + line;
#pragma unroll
            for (u32 load = 0; load < LEFT_LOADS; load++)
                to_left[load * LINES] = next_left[load];
#pragma unroll
            for (u32 load = 0; load < RIGHT_LOADS; load++)
                to_right[load * LINES] = next_right[load];
        }
        __syncthreads();
    }

    float4 *all = &right[0][0][0];
    u32 first = (blockIdx.y * sizes.groups + blockIdx.z) * sizes.rows;
#pragma unroll
    for (u32 part = 0; part < TALL; part++) {
        lay_out(all, place, sums[part]);
        __syncthreads();
        for (u32 index = thread; index < DOWN * COLUMNS; index += 256) {
            u32 row = first_row + row_of(part, index / COLUMNS), tap = first_tap + index % COLUMNS;
            if (row < sizes.rows && tap < sizes.taps) result[(first + row) * sizes.taps + tap] = total((const float *)all, index);
        }
        __syncthreads();
    }
}
