// Value by value, in the CPU's order of operations: the same bits. Threads do four values each where memory allows.

KERNEL fill(float *y, u32 count, float value) {
    u32 by_four = ALIGNED(y) ? count / 4 : 0;
    EACH(four, by_four) {
        float4 u;
        u.x = value, u.y = value, u.z = value, u.w = value;
        ((float4 *)y)[four] = u;
    }
    EACH(rest, count - 4 * by_four) y[4 * by_four + rest] = value;
}

KERNEL copy(float *y, const float *x, u32 count) {
#define SAME(x) (x)
    MAP(y, x, count, SAME);
}

KERNEL scale(float *y, const float *x, u32 count, float factor) {
#define TIMES_FACTOR(x) (factor * (x))
    MAP(y, x, count, TIMES_FACTOR);
}

KERNEL scale_by(float *y, const float *x, u32 count, const float *factor_at) {
    float factor = factor_at[0];
#define UNLESS_ZERO(x) (factor == 0.0f ? 0.0f : factor * (x))
    MAP(y, x, count, UNLESS_ZERO);
}

KERNEL add_scaled(float *y, const float *x, u32 count, float factor) {
#define PLUS_SCALED(x, y) (factor * (x) + (y))
    MAP2(y, x, y, count, PLUS_SCALED);
}

KERNEL add(float *y, const float *a, const float *b, u32 count) {
#define SUM(a, b) ((a) + (b))
    MAP2(y, a, b, count, SUM);
}

KERNEL subtract(float *y, const float *a, const float *b, u32 count) {
#define DIFFERENCE(a, b) ((a) - (b))
    MAP2(y, a, b, count, DIFFERENCE);
}

KERNEL multiply(float *y, const float *a, const float *b, u32 count) {
#define PRODUCT(a, b) ((a) * (b))
    MAP2(y, a, b, count, PRODUCT);
}

KERNEL divide(float *y, const float *a, const float *b, u32 count) {
#define QUOTIENT(a, b) ((a) / (b))
    MAP2(y, a, b, count, QUOTIENT);
}

#define MOST_TERMS 8

typedef struct {
    const float *at[MOST_TERMS];
    u32 number;
} Terms;

// y = the sum of all terms, from the first to the last.
KERNEL add_all(float *y, Terms terms, u32 count) {
    u32 by_four = ALIGNED(y) ? count / 4 : 0;
    for (u32 term = 0; term < MOST_TERMS; term++) {
        if (term < terms.number && !ALIGNED(terms.at[term])) by_four = 0;
    }
    EACH(four, by_four) {
        float4 sum = ((const float4 *)terms.at[0])[four];
        for (u32 term = 1; term < MOST_TERMS; term++) {
            if (term < terms.number) {
                float4 u = ((const float4 *)terms.at[term])[four];
                sum.x += u.x, sum.y += u.y, sum.z += u.z, sum.w += u.w;
            }
        }
        ((float4 *)y)[four] = sum;
    }
    EACH(rest, count - 4 * by_four) {
        u32 index = 4 * by_four + rest;
        float sum = terms.at[0][index];
        for (u32 term = 1; term < MOST_TERMS; term++) {
            if (term < terms.number) sum += terms.at[term][index];
        }
        y[index] = sum;
    }
}
