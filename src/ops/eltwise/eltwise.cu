/* Several operands into one, value by value, with the host's operations in their order. */

/* y = first·a + second·b, with a ReLU behind it or not; factors of 1 change no bit. */
KERNEL weighted_sum(float *y, const float *a, const float *b, u32 count, float first, float second) {
#define WEIGHTED(a, b) (first * (a) + second * (b))
    MAP2(y, a, b, count, WEIGHTED);
}

DEVICE float rectified(float y) {
    return y < 0.0f ? 0.0f : y;
}

KERNEL weighted_sum_relu(float *y, const float *a, const float *b, u32 count, float first, float second) {
#define WEIGHTED_RELU(a, b) rectified(WEIGHTED(a, b))
    MAP2(y, a, b, count, WEIGHTED_RELU);
}

/* The gradient of one operand. */
KERNEL weighted(float *dx, const float *dy, u32 count, float factor) {
#define TIMES(dy) (factor * (dy))
    MAP(dx, dy, count, TIMES);
}

KERNEL weighted_relu(float *dx, const float *y, const float *dy, u32 count, float factor) {
#define THROUGH_RELU(y, dy) ((dy) * ((y) > 0.0f ? 1.0f : 0.0f))
#define TIMES_RELU(y, dy) (factor * THROUGH_RELU(y, dy))
    MAP2(dx, y, dy, count, TIMES_RELU);
}

/* The gradients of both; y is given when a ReLU made it. */
KERNEL weighted_both(float *da, float *db, const float *y, const float *dy, u32 count, float first, float second) {
    u32 by_four = ALIGNED(da) && ALIGNED(db) && ALIGNED(dy) && ALIGNED(y) ? count / 4 : 0;
    EACH(four, by_four) {
        float4 g = ((const float4 *)dy)[four], a, b;
        if (y) {
            float4 v = ((const float4 *)y)[four];
            g.x = THROUGH_RELU(v.x, g.x), g.y = THROUGH_RELU(v.y, g.y);
            g.z = THROUGH_RELU(v.z, g.z), g.w = THROUGH_RELU(v.w, g.w);
        }
        a.x = first * g.x, a.y = first * g.y, a.z = first * g.z, a.w = first * g.w;
        b.x = second * g.x, b.y = second * g.y, b.z = second * g.z, b.w = second * g.w;
        ((float4 *)da)[four] = a;
        ((float4 *)db)[four] = b;
    }
    EACH(rest, count - 4 * by_four) {
        u32 index = 4 * by_four + rest;
        float g = y ? THROUGH_RELU(y[index], dy[index]) : dy[index];
        da[index] = first * g;
        db[index] = second * g;
    }
}

KERNEL maximum(float *y, u32 *winners, const float *a, const float *b, u32 count) {
    EACH(index, count) {
        float u = a[index], v = b[index];
        y[index] = u > v ? u : v;
        winners[index] = u > v ? 0 : 1;
    }
}

KERNEL raise_maximum(float *y, u32 *winners, const float *x, u32 operand, u32 count) {
    EACH(index, count) {
        float v = x[index];
        if (v > y[index]) {
            y[index] = v;
            winners[index] = operand;
        }
    }
}

KERNEL winner_gradient(float *dx, const u32 *winners, u32 operand, const float *dy, u32 count) {
    EACH(index, count) {
        dx[index] = winners[index] == operand ? dy[index] : 0.0f;
    }
}
