/* How many labels are among the best scores of their place, in a blob of outer × channels × inner scores. */

typedef struct {
    u32 outer, channels, inner;
} Axes;

typedef struct {
    u32 top_k, ignores;
    int ignored;
} Options;

/* What became of a label: 0 a miss, 1 a hit, or one of these. */
#define IGNORED 2.0f
#define BAD 3.0f

/* What became of a label with so many scores as good as its own, itself included: none when its own is NaN. */
DEVICE float outcome(u32 as_good, u32 top_k) {
    return as_good >= 1 && as_good <= top_k ? 1.0f : 0.0f;
}

/* Rows of neighbours (inner 1): a block for each label. */
KERNEL outcomes_of_rows(float *outcomes, const float *scores, const float *labels, Axes axes, Options options) {
    EXPECT(gridDim.x == axes.outer);
    float label = labels[blockIdx.x], as_good = 0.0f, result;
    int number = class_of(label, axes.channels);
    if (is_ignored(label, options.ignores, options.ignored)) {
        result = IGNORED;
    } else if (number < 0) {
        result = BAD;
    } else {
        scores += (unsigned long long)blockIdx.x * axes.channels;
        float own = scores[number];
        for (u32 channel = threadIdx.x; channel < axes.channels; channel += blockDim.x) {
            as_good += scores[channel] >= own ? 1.0f : 0.0f;
        }
        result = outcome((u32)block_sum(as_good), options.top_k);
    }
    if (threadIdx.x == 0) {
        outcomes[blockIdx.x] = result;
    }
}

/* Other axes: a thread for each label. */
KERNEL outcomes_of_places(float *outcomes, const float *scores, const float *labels, Axes axes, Options options) {
    EACH(place, axes.outer * axes.inner) {
        float label = labels[place], result = BAD;
        int number = class_of(label, axes.channels);
        if (is_ignored(label, options.ignores, options.ignored)) {
            result = IGNORED;
        } else if (number >= 0) {
            u32 outer = place / axes.inner, first = outer * axes.channels * axes.inner + place - outer * axes.inner;
            float own = scores[first + (u32)number * axes.inner];
            u32 as_good = 0;
            for (u32 channel = 0; channel < axes.channels; channel++) {
                as_good += scores[first + channel * axes.inner] >= own ? 1 : 0;
            }
            result = outcome(as_good, options.top_k);
        }
        outcomes[place] = result;
    }
}

/* The part of hits among the labels that count, 0 when there are none; NaN when a label is no class. Block 0 takes all labels,
   block c + 1 (where there is one) those of class c. */
KERNEL accuracy(float *overall, float *per_class, const float *outcomes, const float *labels, u32 places, u32 classes) {
    EXPECT(gridDim.x == 1 || gridDim.x == classes + 1);
    float hits = 0.0f, counted = 0.0f, bad = 0.0f;
    for (u32 place = threadIdx.x; place < places; place += blockDim.x) {
        float result = outcomes[place];
        if (result == BAD) {
            bad = 1.0f;
        } else if (result != IGNORED && (blockIdx.x == 0 || class_of(labels[place], classes) == (int)blockIdx.x - 1)) {
            hits += result;
            counted += 1.0f;
        }
    }
    hits = block_sum(hits);
    counted = block_sum(counted);
    bad = block_sum(bad);
    if (threadIdx.x == 0) {
        float part = bad > 0.0f ? NAN : counted == 0.0f ? 0.0f : hits / counted;
        if (blockIdx.x == 0) {
            overall[0] = part;
        } else {
            per_class[blockIdx.x - 1] = part;
        }
    }
}
