/* The parametric rectifier, with slopes laid along x. */

typedef struct {
    u32 outer, dim, inner;
} Spans;

KERNEL forward(float *y, const float *x, const float *slopes, Spans spans) {
    EACH(index, spans.outer * spans.dim * spans.inner) {
        float value = x[index];
        y[index] = value < 0.0f ? slopes[index / spans.inner % spans.dim] * value : value;
    }
}

KERNEL backward(float *dx, const float *x, const float *slopes, const float *dy, Spans spans) {
    EACH(index, spans.outer * spans.dim * spans.inner) {
        dx[index] = dy[index] * (x[index] > 0.0f ? 1.0f : slopes[index / spans.inner % spans.dim]);
    }
}

/* Σ dy·x over the values with x ≤ 0 of each run of values that share a slope: a block for each. */
KERNEL slope_sums(float *sums, const float *x, const float *dy, Spans spans) {
    EXPECT(gridDim.x == spans.outer * spans.dim);
    u32 first = blockIdx.x * spans.inner;
    float sum = 0.0f;
    for (u32 index = first + threadIdx.x; index < first + spans.inner; index += blockDim.x) {
        sum += x[index] <= 0.0f ? dy[index] * x[index] : 0.0f;
    }
    sum = block_sum(sum);
    if (threadIdx.x == 0) {
        sums[blockIdx.x] = sum;
    }
}

/* The same where runs are short: a thread for each. */
KERNEL short_slope_sums(float *sums, const float *x, const float *dy, Spans spans) {
    EACH(run, spans.outer * spans.dim) {
        float sum = 0.0f;
        for (u32 index = run * spans.inner; index < (run + 1) * spans.inner; index++) {
            sum += x[index] <= 0.0f ? dy[index] * x[index] : 0.0f;
        }
        sums[run] = sum;
    }
}

/* Adds the sums of all images to each slope's gradient: a block for each slope. */
KERNEL slope_gradient(float *gradient, const float *sums, Spans spans) {
    EXPECT(gridDim.x == spans.dim);
    float sum = 0.0f;
    for (u32 outer = threadIdx.x; outer < spans.outer; outer += blockDim.x) {
        sum += sums[outer * spans.dim + blockIdx.x];
    }
    sum = block_sum(sum);
    if (threadIdx.x == 0) {
        gradient[blockIdx.x] += sum;
    }
}
