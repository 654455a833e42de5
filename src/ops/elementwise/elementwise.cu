// Value by value, in the CPU's order of operations: the same bits.

KERNEL fill(float *y, u32 count, float value) {
    EACH(index, count) y[index] = value;
}

KERNEL copy(float *y, const float *x, u32 count) {
    EACH(index, count) y[index] = x[index];
}

KERNEL scale(float *y, const float *x, u32 count, float factor) {
    EACH(index, count) y[index] = factor * x[index];
}

KERNEL add_scaled(float *y, const float *x, u32 count, float factor) {
    EACH(index, count) y[index] = factor * x[index] + y[index];
}

KERNEL add(float *y, const float *a, const float *b, u32 count) {
    EACH(index, count) y[index] = a[index] + b[index];
}

KERNEL subtract(float *y, const float *a, const float *b, u32 count) {
    EACH(index, count) y[index] = a[index] - b[index];
}

KERNEL multiply(float *y, const float *a, const float *b, u32 count) {
    EACH(index, count) y[index] = a[index] * b[index];
}

KERNEL divide(float *y, const float *a, const float *b, u32 count) {
    EACH(index, count) y[index] = a[index] / b[index];
}
