// Losses of classes, and of pairs. Every first kernel leaves a sum, and behind all sums a number of values that count, for each block;
// `finish` of loss.cu makes the loss of them. A label that is no class makes it NaN.

typedef struct {
    u32 outer, channels, inner;
} Axes;

// Probabilities below this count as this; NaN stays.
DEVICE float bounded(float probability) {
    return probability < 1e-20f ? 1e-20f : probability;
}

// margins = max(0, 1 + x), 1 − x for the label's class, and their sum or that of their squares.
KERNEL hinge(
    float *partial, float *margins, const float *x, const float *labels, u32 count, u32 channels, u32 squared, u32 length) {
    float loss = 0.0f;
    EACH_OF_BLOCK(index, count, length) {
        u32 row = index / channels;
        int label = class_of(labels[row], channels);
        float value = (int)(index - row * channels) == label ? -x[index] : x[index];
        float margin = 1.0f + value < 0.0f ? 0.0f : 1.0f + value;
        margins[index] = margin;
        loss += label < 0 ? NAN : squared ? margin * margin : margin;
    }
    leave_sums(partial, loss, 0.0f);
}

KERNEL hinge_backward(
    float *dx, const float *margins, const float *labels, const float *loss_diff, const float *normalizer, u32 count,
    u32 channels, u32 squared) {
    float weight = loss_diff[0] / normalizer[0];
    EACH(index, count) {
        u32 row = index / channels;
        float margin = margins[index];
        float slope = squared ? weight * 2.0f * margin : margin > 0.0f ? weight : 0.0f;
        dx[index] = (int)(index - row * channels) == class_of(labels[row], channels) ? -slope : slope;
    }
}

// Σ −ln p(label) over rows.
KERNEL multinomial(float *partial, const float *x, const float *labels, u32 rows, u32 channels, u32 length) {
    float loss = 0.0f;
    EACH_OF_BLOCK(row, rows, length) {
        int label = class_of(labels[row], channels);
        loss -= label < 0 ? NAN : logf(bounded(x[row * channels + (u32)label]));
    }
    leave_sums(partial, loss, 0.0f);
}

KERNEL multinomial_backward(
    float *dx, const float *x, const float *labels, const float *loss_diff, const float *normalizer, u32 count,
    u32 channels) {
    float weight = loss_diff[0] / normalizer[0];
    EACH(index, count) {
        u32 row = index / channels;
        int is_label = (int)(index - row * channels) == class_of(labels[row], channels);
        dx[index] = is_label ? -weight / bounded(x[index]) : 0.0f;
    }
}

// Σ −H(label, k)·ln p(k).
KERNEL infogain(
    float *partial, const float *probabilities, const float *labels, const float *matrix, Axes axes, u32 length,
    u32 ignores, int ignored) {
    float loss = 0.0f, counted = 0.0f;
    EACH_OF_BLOCK(place, axes.outer * axes.inner, length) {
        int label = class_of(labels[place], axes.channels);
        if (is_ignored(labels[place], ignores, ignored)) continue;
        if (label < 0) {
            loss = NAN;
            continue;
        }
        u32 outer = place / axes.inner, first = outer * axes.channels * axes.inner + place - outer * axes.inner;
        for (u32 k = 0; k < axes.channels; k++) {
            loss -= matrix[(u32)label * axes.channels + k] * logf(bounded(probabilities[first + k * axes.inner]));
        }
        counted += 1.0f;
    }
    leave_sums(partial, loss, counted);
}

// dx(k) = weight · (p(k) · Σ H(label, ·) − H(label, k)), 0 for ignored places.
KERNEL infogain_backward(
    float *dx, const float *probabilities, const float *labels, const float *matrix, const float *loss_diff,
    const float *normalizer, Axes axes, u32 ignores, int ignored) {
    float weight = loss_diff[0] / normalizer[0];
    EACH(place, axes.outer * axes.inner) {
        int label = class_of(labels[place], axes.channels);
        int counts = label >= 0 && !is_ignored(labels[place], ignores, ignored);
        const float *row = matrix + (counts ? (u32)label * axes.channels : 0);
        u32 outer = place / axes.inner, first = outer * axes.channels * axes.inner + place - outer * axes.inner;
        float sum = 0.0f;
        for (u32 k = 0; counts && k < axes.channels; k++) {
            sum += row[k];
        }
        for (u32 k = 0; k < axes.channels; k++) {
            u32 at = first + k * axes.inner;
            dx[at] = counts ? weight * (probabilities[at] * sum - row[k]) : 0.0f;
        }
    }
}

typedef struct {
    float margin;
    u32 legacy;
} Margin;

// difference = a − b and the sum of its squares: a block for each pair.
KERNEL pair_squares(float *squares, float *difference, const float *a, const float *b, u32 length) {
    float sum = 0.0f;
    unsigned long long first = (unsigned long long)blockIdx.x * length;
    for (u32 index = threadIdx.x; index < length; index += blockDim.x) {
        float apart = a[first + index] - b[first + index];
        difference[first + index] = apart;
        sum += apart * apart;
    }
    sum = block_sum(sum);
    if (threadIdx.x == 0) {
        squares[blockIdx.x] = sum;
    }
}

KERNEL contrastive(
    float *partial, const float *squares, const float *similar, u32 pairs, u32 length, Margin margin) {
    float loss = 0.0f;
    EACH_OF_BLOCK(pair, pairs, length) {
        float square = squares[pair];
        float apart = fmaxf(margin.margin - (margin.legacy ? square : sqrtf(square)), 0.0f);
        loss += truncated(similar[pair]) != 0 ? square : margin.legacy ? apart : apart * apart;
    }
    leave_sums(partial, loss, 0.0f);
}

KERNEL contrastive_backward(
    float *gradient, const float *difference, const float *squares, const float *similar, const float *loss_diff,
    const float *normalizer, u32 count, u32 length, float sign, Margin margin) {
    float factor = sign * (loss_diff[0] / normalizer[0]);
    EACH(index, count) {
        u32 pair = index / length;
        float square = squares[pair], slope = factor;
        if (truncated(similar[pair]) == 0) {
            float distance = sqrtf(square), apart = margin.margin - distance;
            if (margin.legacy) {
                slope = margin.margin > square ? -factor : 0.0f;
            } else {
                // Caffe's 1e-4 keeps pairs that coincide from dividing by 0.
                slope = apart > 0.0f ? -factor * apart / (distance + 1e-4f) : 0.0f;
            }
        }
        gradient[index] = slope * difference[index];
    }
}
