/* Softmax over one axis of a blob of outer × channels × inner values, and its loss. */

typedef struct {
    u32 outer, channels, inner;
} Axes;

/* Rows of neighbours (inner 1): a block for each. */
KERNEL forward_rows(float *y, const float *x, Axes axes) {
    EXPECT(gridDim.x == axes.outer);
    x += (unsigned long long)blockIdx.x * axes.channels;
    y += (unsigned long long)blockIdx.x * axes.channels;
    float largest = -INFINITY, sum = 0.0f;
    for (u32 channel = threadIdx.x; channel < axes.channels; channel += blockDim.x) {
        largest = largest < x[channel] ? x[channel] : largest;
    }
    largest = block_max(largest);
    for (u32 channel = threadIdx.x; channel < axes.channels; channel += blockDim.x) {
        float power = expf(x[channel] - largest);
        y[channel] = power;
        sum += power;
    }
    sum = block_sum(sum);
    for (u32 channel = threadIdx.x; channel < axes.channels; channel += blockDim.x) {
        y[channel] /= sum;
    }
}

/* Other axes: a thread for each place, so that neighbouring threads read neighbouring values. */
KERNEL forward_places(float *y, const float *x, Axes axes) {
    EACH(place, axes.outer * axes.inner) {
        u32 outer = place / axes.inner, first = outer * axes.channels * axes.inner + place - outer * axes.inner;
        float largest = -INFINITY, sum = 0.0f;
        for (u32 channel = 0; channel < axes.channels; channel++) {
            float value = x[first + channel * axes.inner];
            largest = largest < value ? value : largest;
        }
        for (u32 channel = 0; channel < axes.channels; channel++) {
            float power = expf(x[first + channel * axes.inner] - largest);
            y[first + channel * axes.inner] = power;
            sum += power;
        }
        for (u32 channel = 0; channel < axes.channels; channel++) {
            y[first + channel * axes.inner] /= sum;
        }
    }
}

KERNEL backward_rows(float *dx, const float *y, const float *dy, Axes axes) {
    EXPECT(gridDim.x == axes.outer);
    unsigned long long first = (unsigned long long)blockIdx.x * axes.channels;
    dx += first, y += first, dy += first;
    float dot = 0.0f;
    for (u32 channel = threadIdx.x; channel < axes.channels; channel += blockDim.x) {
        dot += dy[channel] * y[channel];
    }
    dot = block_sum(dot);
    for (u32 channel = threadIdx.x; channel < axes.channels; channel += blockDim.x) {
        dx[channel] = (dy[channel] - dot) * y[channel];
    }
}

KERNEL backward_places(float *dx, const float *y, const float *dy, Axes axes) {
    EACH(place, axes.outer * axes.inner) {
        u32 outer = place / axes.inner, first = outer * axes.channels * axes.inner + place - outer * axes.inner;
        float dot = 0.0f;
        for (u32 channel = 0; channel < axes.channels; channel++) {
            dot += dy[first + channel * axes.inner] * y[first + channel * axes.inner];
        }
        for (u32 channel = 0; channel < axes.channels; channel++) {
            u32 at = first + channel * axes.inner;
            dx[at] = (dy[at] - dot) * y[at];
        }
    }
}

/* Σ −ln p(label) and, behind the sums of all blocks, the number of labels that are not ignored: one pair for each block, over
   `length` labels each. A label that is no class makes the sum NaN. */
KERNEL loss_sums(
    float *partial, const float *probabilities, const float *labels, Axes axes, u32 length, u32 ignores, int ignored) {
    float loss = 0.0f, counted = 0.0f;
    EACH_OF_BLOCK(place, axes.outer * axes.inner, length) {
        int number = class_of(labels[place], axes.channels);
        if (is_ignored(labels[place], ignores, ignored)) {
            continue;
        }
        if (number < 0) {
            loss = NAN;
            continue;
        }
        u32 outer = place / axes.inner;
        float probability = probabilities[(outer * axes.channels + (u32)number) * axes.inner + place - outer * axes.inner];
        /* The smallest normal number; NaN is not replaced. */
        probability = probability < 1.17549435e-38f ? 1.17549435e-38f : probability;
        loss -= logf(probability);
        counted += 1.0f;
    }
    leave_sums(partial, loss, counted);
}

/* dx = weight · (p − 1) for the label's class, weight · p for the others, 0 for ignored places. */
KERNEL loss_backward(
    float *dx, const float *probabilities, const float *labels, const float *loss_diff, const float *normalizer, Axes axes,
    u32 ignores, int ignored) {
    float weight = loss_diff[0] / normalizer[0];
    EACH(index, axes.outer * axes.channels * axes.inner) {
        u32 run = index / axes.inner, within = index - run * axes.inner;
        u32 outer = run / axes.channels, channel = run - outer * axes.channels;
        float label = labels[outer * axes.inner + within], p = probabilities[index];
        float slope = class_of(label, axes.channels) == (int)channel ? p - 1.0f : p;
        dx[index] = is_ignored(label, ignores, ignored) ? 0.0f : weight * slope;
    }
}
