// Parameter updates: one pass over values, gradients and histories of all parameters of a net; value by value the CPU's roundings.

// A parameter's place among all, and how it learns at this iteration.
typedef struct {
    u32 start, count;
    float rate, decay;
} Segment;

// The factors of a rule at this iteration, and what comes before every rule.
typedef struct {
    float first, second, delta, correction;
    // 1 / iter_size.
    float scale;
    // Whether weight decay pulls on the sign, not on the value.
    u32 is_l1;
} Factors;

// Values per block: a block looks its segment up once and walks on from there.
#define PART 4096

DEVICE float prepared(Factors factors, float decay, float gradient, float value) {
    float sign = (value > 0.0f ? 1.0f : 0.0f) - (value < 0.0f ? 1.0f : 0.0f);
    return fmaf(decay, factors.is_l1 ? sign : value, gradient * factors.scale);
}

// The segment that holds a value.
DEVICE u32 segment_of(const Segment *segments, u32 count, u32 value) {
    u32 low = 0, high = count;
    while (low + 1 < high) {
        u32 middle = (low + high) / 2;
        if (segments[middle].start <= value) low = middle;
        else high = middle;
    }
    // Of segments that begin at the same value all but the last are empty.
    return low;
}

// Calls STEP for the values of a block's part. STEP reads rate, g, h and h2, and sets step, h and h2. `bad` gets 1 + the last segment with a step
// that is not finite: the greatest, whoever comes first.
#define UPDATE(name, STEP) \
    KERNEL name(float *data, float *diff, float *first, float *second, const Segment *segments, Factors factors, \
                u32 *bad, u32 count, u32 segment_count) { \
        EXPECT(blockDim.x == THREADS && gridDim.x == divide_up(count, PART)); \
        u32 begin = blockIdx.x * PART, end = count - begin < PART ? count : begin + PART; \
        u32 at = segment_of(segments, segment_count, begin + threadIdx.x < end ? begin + threadIdx.x : begin); \
        for (u32 index = begin + threadIdx.x; index < end; index += THREADS) { \
            while (index - segments[at].start >= segments[at].count) at++; \
            float rate = segments[at].rate; \
            float g = prepared(factors, segments[at].decay, diff[index], data[index]); \
            float h = first[index], h2 = second ? second[index] : 0.0f, step; \
            STEP \
            first[index] = h; \
            if (second) second[index] = h2; \
            diff[index] = step; \
            data[index] -= step; \
            if (!isfinite(step)) atomicMax(bad, at + 1); \
        } \
    }

UPDATE(sgd, {
    h = fmaf(rate, g, factors.first * h);
    step = h;
})

UPDATE(nesterov, {
    float next = fmaf(rate, g, factors.first * h);
    step = fmaf(1.0f + factors.first, next, -factors.first * h);
    h = next;
})

UPDATE(ada_grad, {
    h = g * g + h;
    step = rate * (g / (sqrtf(h) + factors.delta));
})

UPDATE(rms_prop, {
    h = fmaf(1.0f - factors.first, g * g, factors.first * h);
    step = rate * (g / (sqrtf(h) + factors.delta));
})

UPDATE(ada_delta, {
    h = fmaf(1.0f - factors.first, g * g, factors.first * h);
    float taken = g * sqrtf((h2 + factors.delta) / (h + factors.delta));
    h2 = fmaf(1.0f - factors.first, taken * taken, factors.first * h2);
    step = rate * taken;
})

UPDATE(adam, {
    h = fmaf(1.0f - factors.first, g, factors.first * h);
    h2 = fmaf(1.0f - factors.second, g * g, factors.second * h2);
    step = rate * factors.correction * (h / (sqrtf(h2) + factors.delta));
})

// For gradient clipping: the sums of squares of the parts, then of all. The order depends on the number of values only.
KERNEL squares_of_parts(float *sums, const float *diff, u32 count) {
    EXPECT(blockDim.x == THREADS && gridDim.x == divide_up(count, PART));
    u32 begin = blockIdx.x * PART, end = count - begin < PART ? count : begin + PART;
    float sum = 0.0f;
    for (u32 index = begin + threadIdx.x; index < end; index += THREADS) sum += diff[index] * diff[index];
    sum = block_sum(sum);
    if (threadIdx.x == 0) sums[blockIdx.x] = sum;
}

// The square root of the sum of these sums.
KERNEL norm_of_squares(float *norm, const float *sums, u32 parts) {
    EXPECT(blockDim.x == THREADS && gridDim.x == 1);
    float sum = 0.0f;
    for (u32 part = threadIdx.x; part < parts; part += THREADS) sum += sums[part];
    sum = block_sum(sum);
    if (threadIdx.x == 0) norm[0] = sqrtf(sum);
}
