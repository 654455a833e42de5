/* Activation functions, value by value: the operations of the host's code in their order, so the same bits, but for those
   that call expf, logf or powf. Comparisons are written so that NaN in gives NaN out. */

/* eˣ, with the polynomial of src/ops/math.rs. */
DEVICE float exp_of(float x) {
    union { float value; int bits; } rounded, low, high;
    x = x > 89.0f ? 89.0f : x;
    x = x < -104.0f ? -104.0f : x;
    rounded.value = x * 1.44269504088896340736f + 12582912.0f;
    float n = rounded.value - 12582912.0f;
    float r = x - n * 0.693359375f;
    r = r - n * -2.1219444e-4f;
    float p = 1.9875691e-4f;
    p = p * r + 1.3982e-3f;
    p = p * r + 8.333452e-3f;
    p = p * r + 4.1665796e-2f;
    p = p * r + 1.6666665e-1f;
    p = p * r + 0.5f;
    p = (p * (r * r) + r) + 1.0f;
    /* 0x4b400000 are the bits of 1.5·2²³. NaN has a wild exponent here; its p is NaN and stays so. */
    int exponent = (int)((u32)rounded.bits - 0x4b400000u);
    int half = exponent >> 1;
    low.bits = (int)(((u32)half + 127u) << 23);
    high.bits = (int)(((u32)exponent - (u32)half + 127u) << 23);
    return p * low.value * high.value;
}

DEVICE float sigmoid_of(float x) {
    return 1.0f / (1.0f + exp_of(-x));
}

/* The polynomial of src/ops/math.rs. */
DEVICE float tanh_of(float x) {
    float square = x * x;
    float p = -5.7049887e-3f;
    p = p * square + 2.063909e-2f;
    p = p * square + -5.373972e-2f;
    p = p * square + 1.3331442e-1f;
    p = p * square + -3.333328e-1f;
    float near = p * square * x + x;
    float far = 1.0f - 2.0f / (exp_of(2.0f * fabsf(x)) + 1.0f);
    return fabsf(x) < 0.625f ? near : x < 0.0f ? -far : far;
}

/* Forward: y = f(x). */

KERNEL absolute_forward(float *y, const float *x, u32 count) {
    MAP(y, x, count, fabsf);
}

DEVICE float bnll_of(float x) {
    float small = log1pf(expf(-fabsf(x)));
    return x > 0.0f ? x + small : small;
}

KERNEL bnll_forward(float *y, const float *x, u32 count) {
    MAP(y, x, count, bnll_of);
}

DEVICE float between(float x, float least, float most) {
    x = x > most ? most : x;
    return x < least ? least : x;
}

KERNEL clip_forward(float *y, const float *x, u32 count, float least, float most) {
#define CLIP(x) between(x, least, most)
    MAP(y, x, count, CLIP);
}

DEVICE float elu_of(float x, float alpha) {
    return x > 0.0f ? x : alpha * (exp_of(x) - 1.0f);
}

KERNEL elu_forward(float *y, const float *x, u32 count, float alpha) {
#define ELU(x) elu_of(x, alpha)
    MAP(y, x, count, ELU);
}

KERNEL exp_forward(float *y, const float *x, u32 count, float inner, float outer) {
#define EXP(x) (outer * exp_of(inner * (x)))
    MAP(y, x, count, EXP);
}

KERNEL log_forward(float *y, const float *x, u32 count, float scale, float shift, float outer) {
#define LOG(x) (outer * logf(scale * (x) + shift))
    MAP(y, x, count, LOG);
}

KERNEL affine_forward(float *y, const float *x, u32 count, float scale, float shift) {
#define AFFINE(x) (scale * (x) + shift)
    MAP(y, x, count, AFFINE);
}

KERNEL square_forward(float *y, const float *x, u32 count, float scale, float shift) {
#define SQUARE(x) (AFFINE(x) * AFFINE(x))
    MAP(y, x, count, SQUARE);
}

KERNEL power_forward(float *y, const float *x, u32 count, float scale, float shift, float power) {
#define POWER(x) powf(AFFINE(x), power)
    MAP(y, x, count, POWER);
}

KERNEL relu_forward(float *y, const float *x, u32 count) {
#define RELU(x) ((x) < 0.0f ? 0.0f : (x))
    MAP(y, x, count, RELU);
}

KERNEL leaky_relu_forward(float *y, const float *x, u32 count, float slope) {
#define LEAKY_RELU(x) ((x) < 0.0f ? slope * (x) : (x))
    MAP(y, x, count, LEAKY_RELU);
}

KERNEL sigmoid_forward(float *y, const float *x, u32 count) {
    MAP(y, x, count, sigmoid_of);
}

KERNEL tanh_forward(float *y, const float *x, u32 count) {
    MAP(y, x, count, tanh_of);
}

KERNEL threshold_forward(float *y, const float *x, u32 count, float threshold) {
#define THRESHOLD(x) ((x) > threshold ? 1.0f : 0.0f)
    MAP(y, x, count, THRESHOLD);
}

/* Backward: dx = dy · f'(x), from x or y. */

KERNEL absolute_backward(float *dx, const float *x, const float *dy, u32 count) {
#define SIGNED(x, dy) (((x) > 0.0f ? 1.0f : (x) < 0.0f ? -1.0f : 0.0f) * (dy))
    MAP2(dx, x, dy, count, SIGNED);
}

DEVICE float bnll_slope(float x, float dy) {
    /* Above 50 the slope is 1 to the last place; eˣ itself would overflow. */
    float power = expf(fminf(x, 50.0f));
    return dy * (power / (power + 1.0f));
}

KERNEL bnll_backward(float *dx, const float *x, const float *dy, u32 count) {
    MAP2(dx, x, dy, count, bnll_slope);
}

KERNEL clip_backward(float *dx, const float *x, const float *dy, u32 count, float least, float most) {
#define INSIDE(x, dy) ((x) >= least && (x) <= most ? (dy) : (dy) * 0.0f)
    MAP2(dx, x, dy, count, INSIDE);
}

KERNEL elu_backward(float *dx, const float *x, const float *y, const float *dy, u32 count, float alpha) {
#define ELU_SLOPE(x, y, dy) ((dy) * ((x) > 0.0f ? 1.0f : alpha + (y)))
    MAP3(dx, x, y, dy, count, ELU_SLOPE);
}

KERNEL exp_backward(float *dx, const float *y, const float *dy, u32 count, float inner) {
#define EXP_SLOPE(y, dy) ((y) * (dy) * inner)
    MAP2(dx, y, dy, count, EXP_SLOPE);
}

KERNEL log_backward(float *dx, const float *x, const float *dy, u32 count, float scale, float shift, float slope) {
#define LOG_SLOPE(x, dy) ((dy) * (slope * (1.0f / AFFINE(x))))
    MAP2(dx, x, dy, count, LOG_SLOPE);
}

/* The forms of Caffe, which differ in rounding and in where they give NaN. */

KERNEL square_backward(float *dx, const float *x, const float *dy, u32 count, float factor, float shift) {
#define SQUARE_SLOPE(x, dy) ((dy) * (factor * (x) + shift))
    MAP2(dx, x, dy, count, SQUARE_SLOPE);
}

KERNEL pure_power_backward(float *dx, const float *x, const float *y, const float *dy, u32 count, float power) {
#define PURE_POWER_SLOPE(x, y, dy) ((dy) * (power * ((y) / (x))))
    MAP3(dx, x, y, dy, count, PURE_POWER_SLOPE);
}

KERNEL power_backward(
    float *dx, const float *x, const float *y, const float *dy, u32 count, float scale, float shift, float slope) {
#define POWER_SLOPE(x, y, dy) ((dy) * (slope * ((y) / AFFINE(x))))
    MAP3(dx, x, y, dy, count, POWER_SLOPE);
}

KERNEL relu_backward(float *dx, const float *x, const float *dy, u32 count, float slope) {
#define RELU_SLOPE(x, dy) ((dy) * ((x) > 0.0f ? 1.0f : slope))
    MAP2(dx, x, dy, count, RELU_SLOPE);
}

KERNEL relu6_backward(float *dx, const float *x, const float *dy, u32 count) {
#define RELU6_SLOPE(x, dy) ((dy) * ((x) > 0.0f && (x) < 6.0f ? 1.0f : 0.0f))
    MAP2(dx, x, dy, count, RELU6_SLOPE);
}

KERNEL sigmoid_backward(float *dx, const float *y, const float *dy, u32 count) {
#define SIGMOID_SLOPE(y, dy) ((dy) * (y) * (1.0f - (y)))
    MAP2(dx, y, dy, count, SIGMOID_SLOPE);
}

KERNEL tanh_backward(float *dx, const float *y, const float *dy, u32 count) {
#define TANH_SLOPE(y, dy) ((dy) * (1.0f - (y) * (y)))
    MAP2(dx, y, dy, count, TANH_SLOPE);
}

KERNEL swish_backward(float *dx, const float *y, const float *sigmoid, const float *dy, u32 count, float beta) {
#define SWISH_SLOPE(y, sigmoid, dy) ((dy) * (beta * (y) + (sigmoid) * (1.0f - beta * (y))))
    MAP3(dx, y, sigmoid, dy, count, SWISH_SLOPE);
}
