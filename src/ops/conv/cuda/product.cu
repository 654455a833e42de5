/* The product that all directions of a convolution come down to, one tile of the result per block: what stands before is the tile's
 * size, what comes behind loads the two sides.
 *
 * A block of 256 threads computes ROWS×COLUMNS results; GROUPS groups of its threads share the summands, 8 each of a step of DEPTH.
 * Each thread sums TALL×WIDE results in registers. Both sides of a step lie in shared memory, summand by summand, while those of the
 * next step are on their way. In the end the groups' sums are added in their order. */

#define DEPTH (8 * GROUPS)
#define ACROSS (COLUMNS / WIDE)
#define DOWN (ROWS / TALL)

#if DOWN * ACROSS * GROUPS != 256
#error "a tile is the work of 256 threads"
#endif

/* The place of a tap that no column has: see `is_inside`. */
#define NOWHERE 0xC0000000u

/* Where a thread's results lie in the tile: in column blocks of four from 4·x on, rows from 4·y on. Eight threads across and four down
 * are a warp, which so reads each side without conflicts. */
typedef struct {
    u32 group, x, y;
} Seat;

DEVICE Seat seat(void) {
    u32 thread = threadIdx.x % (DOWN * ACROSS), lane = thread % 32, warp = thread / 32;
    Seat seat;
    seat.group = threadIdx.x / (DOWN * ACROSS);
    seat.x = lane % 8 + 8 * (warp % (ACROSS / 8));
    seat.y = lane / 8 + 4 * (warp / (ACROSS / 8));
    return seat;
}

/* Which position of the source a column reads, for a tap at distance 0: its offset, and its place, which has the row in the upper half of
 * a number and the column in the lower, both plus 0x8000; positions are below 0x4000. */
typedef struct {
    /* Of column (0, 0). */
    u32 offset, place;
    /* From row to row of columns, and from column to column, where both are the same. */
    u32 row_offset, row_place, step;
    /* height << 16, and width - 1. */
    u32 last;
} Reading;

DEVICE u32 place_of(Reading reading, u32 row, u32 column) {
    return reading.place + row * reading.row_place + column * reading.step;
}

DEVICE u32 offset_of(Reading reading, u32 row, u32 column) {
    return reading.offset + row * reading.row_offset + column * reading.step;
}

/* Whether a tap reads inside the source: in both halves neither the position nor its distance to the last one is negative. A place of 0,
 * that of columns which do not exist, is outside whatever the tap. */
DEVICE bool is_inside(u32 place, u32 tap, u32 last) {
    u32 read = place + tap;
    return (read & (last - read) & 0x80008000u) == 0x80008000u;
}

/* Adds the products of one step; `left` and `right` have `left_pitch` and `right_pitch` blocks of four for each summand. */
DEVICE void multiply(const float4 *left, u32 left_pitch, const float4 *right, u32 right_pitch, Seat seat, float sums[TALL][WIDE]) {
#pragma unroll
    for (u32 step = 0; step < 8; step++) {
        const float4 *row = left + (seat.group * 8 + step) * left_pitch + seat.y;
        const float4 *column = right + (seat.group * 8 + step) * right_pitch + seat.x;
        float a[TALL], b[WIDE];
        float4 part = row[0];
        a[0] = part.x, a[1] = part.y, a[2] = part.z, a[3] = part.w;
#if TALL == 8
        part = row[DOWN];
        a[4] = part.x, a[5] = part.y, a[6] = part.z, a[7] = part.w;
#endif
        part = column[0];
        b[0] = part.x, b[1] = part.y, b[2] = part.z, b[3] = part.w;
#if WIDE == 8
        part = column[ACROSS];
        b[4] = part.x, b[5] = part.y, b[6] = part.z, b[7] = part.w;
#endif
#pragma unroll
        for (u32 i = 0; i < TALL; i++) {
#pragma unroll
            for (u32 j = 0; j < WIDE; j++)
                sums[i][j] = fmaf(a[i], b[j], sums[i][j]);
        }
    }
}

/* Lays one of each thread's rows of sums side by side: group × row of the tile's part × column. */
DEVICE void lay_out(float4 *all, Seat seat, const float sums[WIDE]) {
    float4 *row = all + (seat.group * DOWN + seat.y) * (COLUMNS / 4);
    row[seat.x] = make_float4(sums[0], sums[1], sums[2], sums[3]);
#if WIDE == 8
    row[ACROSS + seat.x] = make_float4(sums[4], sums[5], sums[6], sums[7]);
#endif
}

/* The sum of a result's groups; results are counted row by row. */
DEVICE float total(const float *all, u32 result) {
    float sum = all[result];
#pragma unroll
    for (u32 group = 1; group < GROUPS; group++)
        sum += all[group * DOWN * COLUMNS + result];
    return sum;
}

/* The tile's row that part `part` (0 to TALL - 1) of each thread's rows has at `down`. */
DEVICE u32 row_of(u32 part, u32 down) {
    return part < 4 ? down * 4 + part : ROWS / 2 + down * 4 + part - 4;
}
