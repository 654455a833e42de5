/* The product that all directions of a convolution come down to, one tile of the result per block: what stands before is the tile's
 * size, what comes behind loads the two sides.
 *
 * A block of 256 threads computes ROWS×COLUMNS results; GROUPS groups of its threads share the summands, 8 each of a step of DEPTH.
 * Each thread sums TALL×WIDE results in registers, or each warp as many by tensor cores where TENSOR is 1. Both sides of a step lie in shared memory, summand by summand, while those of the
 * next step are on their way. In the end the groups' sums are added in their order. */

#define DEPTH (8 * GROUPS)
#define ACROSS (COLUMNS / WIDE)
#define DOWN (ROWS / TALL)

#if DOWN * ACROSS * GROUPS != 256
#error "a tile is the work of 256 threads"
#endif

/* The place of a tap that no column has: see `is_inside`. */
#define NOWHERE 0xC0000000u

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

#if TENSOR
/* By tensor cores: factors are rounded to TF32, products are summed as f32. A warp has WARP_ROWS×WARP_COLUMNS results, in pieces of 16×8,
 * each of which is one instruction of the warp. */
#define WARP_ROWS (ROWS < 64 ? ROWS : 64)
#define WARP_COLUMNS (COLUMNS * (ROWS / WARP_ROWS) * GROUPS / 8)
#define PIECES_DOWN (WARP_ROWS / 16)
#define PIECES_ACROSS (WARP_COLUMNS / 8)
#define PARTS (WARP_ROWS / 8)
#define PART_ROWS (ROWS / WARP_ROWS * 8)

/* A warp's first row and column; eight lines of four threads. */
typedef struct {
    u32 group, x, y, line, lane;
} Seat;

DEVICE Seat seat(void) {
    u32 warp = threadIdx.x / 32, own = warp % (8 / GROUPS);
    Seat seat;
    seat.group = warp / (8 / GROUPS);
    seat.y = own % (ROWS / WARP_ROWS);
    seat.x = own / (ROWS / WARP_ROWS) * WARP_COLUMNS;
    seat.line = threadIdx.x % 32 / 4;
    seat.lane = threadIdx.x % 4;
    return seat;
}

/* sums += a · b for a of 16×8 and b of 8×8. A thread has of a rows `line` and `line + 8` in column `lane`, then the same in `lane + 4`; of b
 * rows `lane` and `lane + 4` in column `line`; of the sums rows `line` and `line + 8` in columns `2·lane` and `2·lane + 1`. */
#ifdef __CUDACC_RTC__
DEVICE void multiply_piece(float *sums, const float *a, const float *b) {
#if __CUDA_ARCH__ >= 800
    asm("mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
        : "+f"(sums[0]), "+f"(sums[1]), "+f"(sums[2]), "+f"(sums[3])
        : "r"(__float_as_uint(a[0])), "r"(__float_as_uint(a[1])), "r"(__float_as_uint(a[2])), "r"(__float_as_uint(a[3])),
          "r"(__float_as_uint(b[0])), "r"(__float_as_uint(b[1])));
#else
    __trap();
#endif
}
#else
DEVICE void multiply_piece(float *sums, const float *a, const float *b) {
    u32 line = threadIdx.x % 32 / 4, lane = threadIdx.x % 4;
    for (u32 k = 0; k < 8; k++) {
        float rows[2], columns[2];
        for (u32 i = 0; i < 2; i++) {
            rows[i] = __shfl_sync(0xffffffffu, a[k / 4 * 2 + i], line * 4 + k % 4);
            columns[i] = __shfl_sync(0xffffffffu, b[k / 4], (2 * lane + i) * 4 + k % 4);
        }
        for (u32 i = 0; i < 4; i++)
            sums[i] += rows[i / 2] * columns[i % 2];
    }
}
#endif

/* Adds the products of one step; `left` and `right` have `left_pitch` and `right_pitch` blocks of four for each summand. */
DEVICE void multiply(const float4 *left, u32 left_pitch, const float4 *right, u32 right_pitch, Seat seat, float sums[TALL][WIDE]) {
    const float *rows = (const float *)(left + (seat.group * 8 + seat.lane) * left_pitch) + seat.y * WARP_ROWS + seat.line;
    const float *columns = (const float *)(right + (seat.group * 8 + seat.lane) * right_pitch) + seat.x + seat.line;
    float b[PIECES_ACROSS][2];
#pragma unroll
    for (u32 across = 0; across < PIECES_ACROSS; across++) {
        b[across][0] = columns[8 * across];
        b[across][1] = columns[16 * right_pitch + 8 * across];
    }
#pragma unroll
    for (u32 down = 0; down < PIECES_DOWN; down++) {
        const float *own = rows + 16 * down;
        float a[4] = {own[0], own[8], own[16 * left_pitch], own[16 * left_pitch + 8]};
#pragma unroll
        for (u32 across = 0; across < PIECES_ACROSS; across++)
            multiply_piece(&sums[0][0] + (down * PIECES_ACROSS + across) * 4, a, b[across]);
    }
}

/* Lays eight of each warp's rows side by side: group × row of the tile's part × column. */
DEVICE void lay_out(float4 *all, Seat seat, const float sums[TALL][WIDE], u32 part) {
    float *row = (float *)all + (seat.group * PART_ROWS + seat.y * 8 + seat.line) * COLUMNS + seat.x + 2 * seat.lane;
#pragma unroll
    for (u32 across = 0; across < PIECES_ACROSS; across++) {
        const float *own = &sums[0][0] + (part / 2 * PIECES_ACROSS + across) * 4 + part % 2 * 2;
        row[8 * across] = own[0];
        row[8 * across + 1] = own[1];
    }
}

/* The tile's row that part `part` (0 to PARTS - 1) of the warps' rows has at `down`. */
DEVICE u32 row_of(u32 part, u32 down) {
    return down / 8 * WARP_ROWS + part * 8 + down % 8;
}

/* A factor as it lies in shared memory: rounded to ten bits behind the point, halves away from zero. */
DEVICE float factor(float value) {
    return __uint_as_float((__float_as_uint(value) + 0x1000u) & 0xffffe000u);
}
#else
#define PARTS TALL
#define PART_ROWS DOWN

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
DEVICE void lay_out(float4 *all, Seat seat, const float sums[TALL][WIDE], u32 part) {
    float4 *row = all + (seat.group * DOWN + seat.y) * (COLUMNS / 4);
    const float *own = sums[part];
    row[seat.x] = make_float4(own[0], own[1], own[2], own[3]);
#if WIDE == 8
    row[ACROSS + seat.x] = make_float4(own[4], own[5], own[6], own[7]);
#endif
}

/* The tile's row that part `part` (0 to PARTS - 1) of the threads' results has at `down`. */
DEVICE u32 row_of(u32 part, u32 down) {
    return part < 4 ? down * 4 + part : ROWS / 2 + down * 4 + part - 4;
}

/* A factor as it lies in shared memory. */
DEVICE float factor(float value) {
    return value;
}
#endif

/* The sum of a result's groups; results are counted row by row. */
DEVICE float total(const float *all, u32 result) {
    float sum = all[result];
#pragma unroll
    for (u32 group = 1; group < GROUPS; group++)
        sum += all[group * PART_ROWS * COLUMNS + result];
    return sum;
}
