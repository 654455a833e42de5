/* Losses: sums over all values in two steps, the blocks' sums first, and gradients that read their factor from the card. */

/* The end of every loss: the blocks' sums (and behind them their numbers of values that count) become the loss. It is divided
   by the number of values that count, at least 1, or by a fixed number; then by `divisor`. */
KERNEL finish(
    float *loss, float *normalizer, const float *partial, u32 parts, u32 is_counted, float fixed, float divisor) {
    EXPECT(gridDim.x == 1);
    float sum = 0.0f, counted = 0.0f;
    for (u32 part = threadIdx.x; part < parts; part += blockDim.x) {
        sum += partial[part];
        counted += partial[parts + part];
    }
    sum = block_sum(sum);
    counted = block_sum(counted);
    if (threadIdx.x == 0) {
        float used = is_counted ? fmaxf(counted, 1.0f) : fixed;
        normalizer[0] = used;
        loss[0] = sum / used / divisor;
    }
}

/* difference = a − b, and the sums of its squares. */
KERNEL squared_distance(float *partial, float *difference, const float *a, const float *b, u32 count, u32 length) {
    float sum = 0.0f;
    EACH_OF_BLOCK(index, count, length) {
        float apart = a[index] - b[index];
        difference[index] = apart;
        sum += apart * apart;
    }
    sum = block_sum(sum);
    if (threadIdx.x == 0) {
        partial[blockIdx.x] = sum;
        partial[gridDim.x + blockIdx.x] = 0.0f;
    }
}

/* dx = sign · weight / images · difference. */
KERNEL distance_gradient(
    float *dx, const float *difference, const float *loss_diff, u32 count, float sign, float images) {
    float factor = sign * loss_diff[0] / images;
#define TIMES_FACTOR(x) (factor * (x))
    MAP(dx, difference, count, TIMES_FACTOR);
}

/* −t·ln σ(x) − (1−t)·ln(1−σ(x)), written so that nothing overflows. */
KERNEL sigmoid_cross_entropy(
    float *partial, const float *x, const float *targets, u32 count, u32 length, u32 ignores, int ignored) {
    float loss = 0.0f, counted = 0.0f;
    EACH_OF_BLOCK(index, count, length) {
        float value = x[index], target = targets[index];
        if (!is_ignored(target, ignores, ignored)) {
            float positive = value >= 0.0f ? 1.0f : 0.0f;
            loss -= value * (target - positive) - logf(1.0f + expf(value - 2.0f * value * positive));
            counted += 1.0f;
        }
    }
    leave_sums(partial, loss, counted);
}

/* dx = weight · (σ(x) − t), 0 where the target is ignored. */
KERNEL sigmoid_cross_entropy_gradient(
    float *dx, const float *x, const float *targets, const float *loss_diff, const float *normalizer, u32 count,
    u32 ignores, int ignored) {
    float weight = loss_diff[0] / normalizer[0];
    EACH(index, count) {
        float target = targets[index];
        float sigmoid = 1.0f / (1.0f + expf(-x[index]));
        dx[index] = is_ignored(target, ignores, ignored) ? 0.0f : weight * (sigmoid - target);
    }
}
