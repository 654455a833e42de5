// What every kernel file begins with. Kernels are written in the C that CUDA shares with C compilers: NVRTC compiles them for a card;
// for a machine without one a C compiler does, with a header in front that makes threads of a block of its own.

typedef unsigned int u32;
typedef unsigned char u8;

#ifdef __CUDACC_RTC__
#define KERNEL extern "C" __global__ void
#define DEVICE static __device__ __forceinline__
#define CONSTANT static __constant__ const
#define SHARED __shared__
#define EXPECT(condition) do { if (!(condition)) __trap(); } while (0)
#define INFINITY __int_as_float(0x7f800000)
#define NAN __int_as_float(0x7fc00000)
#endif

// Threads of a block where a value is a thread's work.
#define THREADS 256

// For every index below count, shared among all threads of the grid: right for any grid.
#define EACH(index, count) \
    for (u32 index = blockIdx.x * blockDim.x + threadIdx.x; index < (count); index += gridDim.x * blockDim.x)

DEVICE u32 divide_up(u32 a, u32 b) {
    return (a + b - 1) / b;
}

// Adds up the values of all threads of a block, whose threads are a multiple of 32 and at most 1024; every thread gets the sum. All
// threads of the block must call it. The order of the sum depends on nothing but the number of threads.
DEVICE float block_sum(float value) {
    SHARED float of_warps[32];
    for (int distance = 16; distance > 0; distance /= 2) value += __shfl_xor_sync(0xffffffffu, value, distance);
    __syncthreads();
    if (threadIdx.x % 32 == 0) of_warps[threadIdx.x / 32] = value;
    __syncthreads();
    float sum = 0.0f;
    for (u32 warp = 0; warp < blockDim.x / 32; warp++) sum += of_warps[warp];
    return sum;
}

// The largest of the values of all threads of a block; as block_sum.
DEVICE float block_max(float value) {
    SHARED float of_warps[32];
    for (int distance = 16; distance > 0; distance /= 2) {
        value = fmaxf(value, __shfl_xor_sync(0xffffffffu, value, distance));
    }
    __syncthreads();
    if (threadIdx.x % 32 == 0) of_warps[threadIdx.x / 32] = value;
    __syncthreads();
    float largest = of_warps[0];
    for (u32 warp = 1; warp < blockDim.x / 32; warp++) largest = fmaxf(largest, of_warps[warp]);
    return largest;
}

// What the first kernel of a loss leaves for the second: for each block its part of the sum and, behind all these, how many values count.
DEVICE void leave_sums(float *partial, float loss, float counted) {
    loss = block_sum(loss);
    counted = block_sum(counted);
    if (threadIdx.x == 0) {
        partial[blockIdx.x] = loss;
        partial[gridDim.x + blockIdx.x] = counted;
    }
}

// Whether a pointer is fit for loads of four values at once.
#define ALIGNED(pointer) (((unsigned long long)(pointer) & 15ull) == 0)

// to[i] = f(a[i]) for a function or macro f of one value; `to` may be a.
#define MAP(to, a, count, f)                                                                                           \
    do {                                                                                                               \
        u32 by_four = ALIGNED(to) && ALIGNED(a) ? (count) / 4 : 0;                                                     \
        EACH(four, by_four) {                                                                                          \
            float4 u = ((const float4 *)(a))[four];                                                                    \
            u.x = f(u.x), u.y = f(u.y), u.z = f(u.z), u.w = f(u.w);                                                    \
            ((float4 *)(to))[four] = u;                                                                                \
        }                                                                                                              \
        EACH(rest, (count) - 4 * by_four) {                                                                            \
            (to)[4 * by_four + rest] = f((a)[4 * by_four + rest]);                                                     \
        }                                                                                                              \
    } while (0)

// to[i] = f(a[i], b[i]); `to` may be either.
#define MAP2(to, a, b, count, f)                                                                                       \
    do {                                                                                                               \
        u32 by_four = ALIGNED(to) && ALIGNED(a) && ALIGNED(b) ? (count) / 4 : 0;                                       \
        EACH(four, by_four) {                                                                                          \
            float4 u = ((const float4 *)(a))[four], v = ((const float4 *)(b))[four];                                   \
            u.x = f(u.x, v.x), u.y = f(u.y, v.y), u.z = f(u.z, v.z), u.w = f(u.w, v.w);                                \
            ((float4 *)(to))[four] = u;                                                                                \
        }                                                                                                              \
        EACH(rest, (count) - 4 * by_four) {                                                                            \
            u32 index = 4 * by_four + rest;                                                                            \
            (to)[index] = f((a)[index], (b)[index]);                                                                   \
        }                                                                                                              \
    } while (0)

// to[i] = f(a[i], b[i], c[i]); `to` may be any of them.
#define MAP3(to, a, b, c, count, f)                                                                                    \
    do {                                                                                                               \
        u32 by_four = ALIGNED(to) && ALIGNED(a) && ALIGNED(b) && ALIGNED(c) ? (count) / 4 : 0;                         \
        EACH(four, by_four) {                                                                                          \
            float4 u = ((const float4 *)(a))[four], v = ((const float4 *)(b))[four], w = ((const float4 *)(c))[four];  \
            u.x = f(u.x, v.x, w.x), u.y = f(u.y, v.y, w.y), u.z = f(u.z, v.z, w.z), u.w = f(u.w, v.w, w.w);            \
            ((float4 *)(to))[four] = u;                                                                                \
        }                                                                                                              \
        EACH(rest, (count) - 4 * by_four) {                                                                            \
            u32 index = 4 * by_four + rest;                                                                            \
            (to)[index] = f((a)[index], (b)[index], (c)[index]);                                                       \
        }                                                                                                              \
    } while (0)

// The number with its fraction cut off, as the host's cast does it: NaN is 0, numbers outside the range its ends.
DEVICE int truncated(float value) {
    if (value >= 2147483648.0f) {
        return 2147483647;
    }
    if (value < -2147483648.0f) {
        return -2147483647 - 1;
    }
    return value == value ? (int)value : 0;
}

// The class that a label means, or -1 when it means none of them.
DEVICE int class_of(float label, u32 classes) {
    int number = label == label ? truncated(label) : -1;
    return number >= 0 && (u32)number < classes ? number : -1;
}

// Whether a label says that its place does not count.
DEVICE int is_ignored(float label, u32 ignores, int ignored) {
    return ignores && label == label && truncated(label) == ignored;
}

// For every index below count that is this block's: `length` of them, neighbours, shared among its threads.
#define EACH_OF_BLOCK(index, count, length)                                                                            \
    for (u32 index = blockIdx.x * (length) + threadIdx.x,                                                              \
             index##_end = (count) - blockIdx.x * (length) < (length) ? (count) : (blockIdx.x + 1) * (length);         \
         index < index##_end; index += blockDim.x)
