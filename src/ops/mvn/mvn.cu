/* Mean-variance normalization of rows: a block for each. */

/* y = x − mean; with `deviations`, divided by √variance + eps, which goes there. */
KERNEL forward(float *y, float *deviations, const float *x, u32 length, float eps) {
    float sum = 0.0f, squares = 0.0f;
    x += (unsigned long long)blockIdx.x * length;
    y += (unsigned long long)blockIdx.x * length;
    for (u32 index = threadIdx.x; index < length; index += blockDim.x) {
        sum += x[index];
    }
    float mean = block_sum(sum) / (float)length;
    for (u32 index = threadIdx.x; index < length; index += blockDim.x) {
        float value = x[index] - mean;
        y[index] = value;
        squares += value * value;
    }
    if (!deviations) {
        return;
    }
    float deviation = sqrtf(block_sum(squares) / (float)length) + eps;
    if (threadIdx.x == 0) {
        deviations[blockIdx.x] = deviation;
    }
    for (u32 index = threadIdx.x; index < length; index += blockDim.x) {
        y[index] /= deviation;
    }
}

/* dx = dy − mean(dy), or (dy − mean(dy) − y·mean(y·dy)) / deviation. */
KERNEL backward(float *dx, const float *y, const float *dy, const float *deviations, u32 length) {
    unsigned long long first = (unsigned long long)blockIdx.x * length;
    float sum = 0.0f, product = 0.0f;
    dx += first, y += first, dy += first;
    for (u32 index = threadIdx.x; index < length; index += blockDim.x) {
        sum += dy[index];
        product += y[index] * dy[index];
    }
    float mean = block_sum(sum) / (float)length;
    float slope = block_sum(product) / (float)length;
    for (u32 index = threadIdx.x; index < length; index += blockDim.x) {
        float value = dy[index] - mean;
        dx[index] = deviations ? (value - y[index] * slope) / deviations[blockIdx.x] : value;
    }
}
