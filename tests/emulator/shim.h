/* What CUDA's C has beyond a C compiler's, for kernels that run on the CPU: the emulated card puts this in front of their text.
 *
 * Threads of a block run one after another, each until its next barrier or shuffle (threads.c). Only what rcaffe's kernels may use
 * is here: no templates, no atomic sums of floats, shuffles and votes of whole warps only. */

#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#define __EMULATED_CARD__ 1

/* Marks kernels in the preprocessed text; see source.rs. */
typedef void EMULATED_KERNEL;

/* The words of prelude.cu. */
#define KERNEL EMULATED_KERNEL
#define DEVICE static inline
#define CONSTANT static const
/* A section of its own, so that every block begins with memory that holds no number. */
#define SHARED static __attribute__((section("emulated_shared"), aligned(16)))
#define EXPECT(condition) do { if (!(condition)) emulated_fault("EXPECT(" #condition ") does not hold", __LINE__); } while (0)

#define __align__(bytes) __attribute__((aligned(bytes)))
#define __noinline__ __attribute__((noinline))
#define __launch_bounds__(...)

typedef struct { unsigned x, y, z; } uint3;
typedef uint3 dim3;
typedef struct __align__(8) { float x, y; } float2;
typedef struct { float x, y, z; } float3;
typedef struct __align__(16) { float x, y, z, w; } float4;
typedef struct __align__(8) { unsigned x, y; } uint2;
typedef struct __align__(16) { unsigned x, y, z, w; } uint4;
typedef struct __align__(8) { int x, y; } int2;
typedef struct __align__(16) { int x, y, z, w; } int4;

#define make_float2(x, y) ((float2){x, y})
#define make_float3(x, y, z) ((float3){x, y, z})
#define make_float4(x, y, z, w) ((float4){x, y, z, w})
#define make_uint2(x, y) ((uint2){x, y})
#define make_uint4(x, y, z, w) ((uint4){x, y, z, w})
#define make_int2(x, y) ((int2){x, y})
#define make_int4(x, y, z, w) ((int4){x, y, z, w})

/* Where the thread that runs is; the card's fault handler reads it too. */
struct emulated_place { uint3 thread, block, threads, blocks; };
extern struct emulated_place emulated_place __attribute__((visibility("protected")));
#define threadIdx (emulated_place.thread)
#define blockIdx (emulated_place.block)
#define blockDim (emulated_place.threads)
#define gridDim (emulated_place.blocks)
#define warpSize 32

/* threads.c */
void emulated_barrier(int line);
const unsigned *emulated_exchange(int line, unsigned mask, unsigned bits);
_Noreturn void emulated_fault(const char *what, int line);

#define __syncthreads() emulated_barrier(__LINE__)
#define __syncwarp(...) ((void)emulated_exchange(__LINE__, 0xffffffffu, 0))
#define __threadfence() ((void)0)
#define __threadfence_block() ((void)0)
#define __trap() emulated_fault("trap", __LINE__)

static inline unsigned emulated_bits(float value) { unsigned bits; memcpy(&bits, &value, 4); return bits; }
static inline float emulated_float(unsigned bits) { float value; memcpy(&value, &bits, 4); return value; }
static inline unsigned emulated_lane(void) {
    return (threadIdx.x + blockDim.x * (threadIdx.y + blockDim.y * threadIdx.z)) % 32u;
}
/* The lane that a shuffle reads, within sections of `width` lanes. */
static inline unsigned emulated_source(char kind, int delta, unsigned width) {
    unsigned lane = emulated_lane(), section = lane & ~(width - 1), source;
    switch (kind) {
        case 'd': source = lane + (unsigned)delta; return source < section + width ? source : lane;
        case 'u': return lane - section >= (unsigned)delta ? lane - (unsigned)delta : lane;
        case 'x': source = lane ^ (unsigned)delta; return source < section + width ? source : lane;
        default: return section + ((unsigned)delta & (width - 1));
    }
}
#define EMULATED_SHUFFLES(type, name, to_bits, from_bits)                                                                          \
    static inline type emulated_shuffle_##name(char kind, int line, unsigned mask, type value, int delta, unsigned width) {        \
        unsigned source = emulated_source(kind, delta, width);                                                                     \
        return from_bits(emulated_exchange(line, mask, to_bits(value))[source]);                                                   \
    }
EMULATED_SHUFFLES(float, float, emulated_bits, emulated_float)
EMULATED_SHUFFLES(unsigned, unsigned, , )
EMULATED_SHUFFLES(int, int, , (int))
#define EMULATED_SHUFFLE_AS(value)                                                                                                 \
    _Generic((value), float: emulated_shuffle_float, unsigned: emulated_shuffle_unsigned, int: emulated_shuffle_int)
#define EMULATED_SHUFFLE(kind, mask, value, delta, width, ...) EMULATED_SHUFFLE_AS(value)(kind, __LINE__, mask, value, delta, width)
#define __shfl_down_sync(mask, value, ...) EMULATED_SHUFFLE('d', mask, value, __VA_ARGS__, 32, 0)
#define __shfl_up_sync(mask, value, ...) EMULATED_SHUFFLE('u', mask, value, __VA_ARGS__, 32, 0)
#define __shfl_xor_sync(mask, value, ...) EMULATED_SHUFFLE('x', mask, value, __VA_ARGS__, 32, 0)
#define __shfl_sync(mask, value, ...) EMULATED_SHUFFLE('i', mask, value, __VA_ARGS__, 32, 0)

static inline unsigned emulated_ballot(int line, unsigned mask, bool holds) {
    const unsigned *all = emulated_exchange(line, mask, holds);
    unsigned ballot = 0;
    for (int lane = 0; lane < 32; lane++) ballot |= all[lane] << lane;
    return ballot;
}
#define __ballot_sync(mask, holds) emulated_ballot(__LINE__, mask, (holds) != 0)
#define __any_sync(mask, holds) (emulated_ballot(__LINE__, mask, (holds) != 0) != 0)
#define __all_sync(mask, holds) (emulated_ballot(__LINE__, mask, (holds) != 0) == 0xffffffffu)

/* One thread runs at a time. */
#define EMULATED_ATOMIC(name, result)                                                                                              \
    static inline unsigned name(unsigned *place, unsigned value) {                                                                 \
        unsigned old = *place;                                                                                                     \
        *place = (result);                                                                                                         \
        return old;                                                                                                                \
    }
EMULATED_ATOMIC(atomicOr, old | value)
EMULATED_ATOMIC(atomicAnd, old & value)
EMULATED_ATOMIC(atomicAdd, old + value)
EMULATED_ATOMIC(atomicMin, old < value ? old : value)
EMULATED_ATOMIC(atomicMax, old > value ? old : value)
EMULATED_ATOMIC(atomicExch, value)
static inline unsigned atomicCAS(unsigned *place, unsigned expected, unsigned value) {
    unsigned old = *place;
    *place = old == expected ? value : old;
    return old;
}

#define __ldg(pointer) (*(pointer))
#define __float_as_uint(value) emulated_bits(value)
#define __uint_as_float(bits) emulated_float(bits)
#define __float_as_int(value) ((int)emulated_bits(value))
#define __int_as_float(bits) emulated_float((unsigned)(bits))
#define __fadd_rn(a, b) ((float)(a) + (float)(b))
#define __fsub_rn(a, b) ((float)(a) - (float)(b))
#define __fmul_rn(a, b) ((float)(a) * (float)(b))
#define __fdiv_rn(a, b) ((float)(a) / (float)(b))
#define __fdividef(a, b) ((float)(a) / (float)(b))
#define __fmaf_rn(a, b, c) fmaf(a, b, c)
#define __fsqrt_rn(a) sqrtf(a)
#define __expf(a) expf(a)
#define __logf(a) logf(a)
#define rsqrtf(a) (1.0f / sqrtf(a))
#define __popc(bits) ((int)__builtin_popcount(bits))
#define __clz(bits) ((bits) == 0 ? 32 : (int)__builtin_clz(bits))
#define __ffs(bits) ((int)__builtin_ffs((int)(bits)))
#define __umulhi(a, b) ((unsigned)(((unsigned long long)(a) * (b)) >> 32))
#define min(a, b) ({ __typeof__((a) + (b)) a_ = (a), b_ = (b); a_ < b_ ? a_ : b_; })
#define max(a, b) ({ __typeof__((a) + (b)) a_ = (a), b_ = (b); a_ > b_ ? a_ : b_; })
