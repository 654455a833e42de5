/* The gradient of the weights: result[row][k] = Σ_column top[row][column] · source[place of column + place of k], zeros outside the
 * source. The columns, the positions of all images, are cut into parts, a block for each; `add_parts` adds these up.
 *
 * Places of k come from a table: three numbers for each weight of a row, or, where RUNS is 1, for as many channels of one tap as a thread
 * loads; the third number is the weight, of the first channel. */

typedef struct {
    /* Columns in all, and of a part; divisions by those of an image and of a row. */
    u32 columns, part;
    Division plane, row;
    Reading reading;
    /* The source: values of a channel, of a group of channels, of an image. */
    u32 source_plane, source_group, source_image;
    /* Values of a channel and an image of the top. */
    u32 top_plane, top_image;
    /* Rows of a group, weights of a row, those of one channel, tiles that the rows are cut into, groups. */
    u32 rows, taps, kernel, row_tiles, groups;
} Weighing;

/* Blocks of four behind the columns of a summand, so that what is read or written together lies in different banks. */
#define PAD (TENSOR ? 2 : 1)

/* Eight threads of a warp load neighbouring summands of one line, the next eight of the next line: so memory is read in whole sectors,
 * and shared memory, whose summands are four banks apart, written without conflicts. */
#define LINES (32 / GROUPS)
#define LEFT_LOADS (ROWS / LINES)
#define RIGHT_LOADS (COLUMNS / LINES)

KERNEL __launch_bounds__(256, 2) weigh(float *__restrict__ result, const float *__restrict__ source, const float *__restrict__ top,
                                       const u32 *__restrict__ table, Weighing sizes) {
    SHARED float4 left[2][DEPTH][ROWS / 4 + PAD];
    SHARED float4 right[2][DEPTH][COLUMNS / 4 + PAD];
    /* The weights that the tile's columns are; the table's entries for them. */
    SHARED u32 weights[COLUMNS], offsets[COLUMNS], taps[COLUMNS];
    EXPECT(blockDim.x == 256);
    u32 thread = threadIdx.x, warp = thread / 32;
    u32 summand = thread % 8 + 8 * (warp % GROUPS), line = thread % 32 / 8 + 4 * (warp / GROUPS);
    u32 first_row = blockIdx.x % sizes.row_tiles * ROWS, tile = blockIdx.x / sizes.row_tiles;
    u32 begin = blockIdx.y * sizes.part, end = begin + sizes.part < sizes.columns ? begin + sizes.part : sizes.columns;
    Seat place = seat();
    if (thread < COLUMNS) {
#if RUNS
        /* Column `line + load·LINES` is channel `load` of the line's entry. */
        u32 entry = tile * LINES + thread % LINES, channel = thread / LINES;
        bool exists = entry < sizes.taps / RIGHT_LOADS;
#else
        u32 entry = tile * COLUMNS + thread, channel = 0;
        bool exists = entry < sizes.taps;
#endif
        offsets[thread] = exists ? blockIdx.z * sizes.source_group + table[3 * entry] : 0;
        taps[thread] = exists ? table[3 * entry + 1] : NOWHERE;
        weights[thread] = exists ? table[3 * entry + 2] + channel * sizes.kernel : NOWHERE;
    }
    __syncthreads();

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
            u32 column = begin + step * DEPTH + summand, read = 0, base = 0, at = 0;
            int rows = 0;
            if (column < end) {
                rows = (int)sizes.rows - (int)(first_row + line);
                u32 image = quotient(column, sizes.plane), position = column - image * sizes.plane.divisor;
                u32 row = quotient(position, sizes.row), across = position - row * sizes.row.divisor;
                read = place_of(sizes.reading, row, across);
                base = image * sizes.source_image + offset_of(sizes.reading, row, across);
                at = top_start + image * sizes.top_image + position;
            }
#pragma unroll
            for (u32 load = 0; load < LEFT_LOADS; load++) {
                next_left[load] = (int)(load * LINES) < rows ? top[at + load * LINES * sizes.top_plane] : 0.0f;
            }
#if RUNS
            bool inside = is_inside(read, taps[line], sizes.reading.last);
            u32 start = base + offsets[line];
#pragma unroll
            for (u32 load = 0; load < RIGHT_LOADS; load++)
                next_right[load] = inside ? source[start + load * sizes.source_plane] : 0.0f;
#else
#pragma unroll
            for (u32 load = 0; load < RIGHT_LOADS; load++) {
                u32 tap = line + load * LINES;
                next_right[load] = is_inside(read, taps[tap], sizes.reading.last) ? source[base + offsets[tap]] : 0.0f;
            }
#endif
        }
        u32 now = step % 2;
        if (step > 0) multiply(&left[1 - now][0][0], ROWS / 4 + PAD, &right[1 - now][0][0], COLUMNS / 4 + PAD, place, sums);
        if (step < steps) {
            float *to_left = (float *)&left[now][summand][0] + line, *to_right = (float *)&right[now][summand][0] + line;
#pragma unroll
            for (u32 load = 0; load < LEFT_LOADS; load++)
                to_left[load * LINES] = factor(next_left[load]);
#pragma unroll
            for (u32 load = 0; load < RIGHT_LOADS; load++)
                to_right[load * LINES] = factor(next_right[load]);
        }
        __syncthreads();
    }

    float4 *all = &right[0][0][0];
    u32 first = (blockIdx.y * sizes.groups + blockIdx.z) * sizes.rows;
#pragma unroll
    for (u32 part = 0; part < PARTS; part++) {
        lay_out(all, place, sums, part);
        __syncthreads();
        for (u32 index = thread; index < PART_ROWS * COLUMNS; index += 256) {
            u32 row = first_row + row_of(part, index / COLUMNS), weight = weights[index % COLUMNS];
            if (row < sizes.rows && weight != NOWHERE) result[(first + row) * sizes.taps + weight] = total((const float *)all, index);
        }
        __syncthreads();
    }
}
