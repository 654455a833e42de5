/* Each row of a blob into one value. */

/* What becomes of a row. */
#define SUM 0
#define ABSOLUTE_SUM 1
#define SUM_OF_SQUARES 2

DEVICE float term(float x, u32 reduction) {
    return reduction == SUM ? x : reduction == ABSOLUTE_SUM ? fabsf(x) : x * x;
}

/* A block for each row. */
KERNEL forward(float *y, const float *x, u32 length, u32 reduction, float factor) {
    float sum = 0.0f;
    x += (unsigned long long)blockIdx.x * length;
    for (u32 index = threadIdx.x; index < length; index += blockDim.x) {
        sum += term(x[index], reduction);
    }
    sum = block_sum(sum);
    if (threadIdx.x == 0) {
        y[blockIdx.x] = factor * sum;
    }
}

KERNEL backward(float *dx, const float *x, const float *dy, u32 count, u32 length, u32 reduction, float factor) {
    EACH(index, count) {
        float slope = factor * dy[index / length];
        if (reduction == SUM) {
            dx[index] = slope;
        } else if (reduction == ABSOLUTE_SUM) {
            float value = x[index];
            dx[index] = ((value > 0.0f ? 1.0f : 0.0f) - (value < 0.0f ? 1.0f : 0.0f)) * slope;
        } else {
            dx[index] = 2.0f * slope * x[index];
        }
    }
}
