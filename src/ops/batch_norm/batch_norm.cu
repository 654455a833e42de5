/* Batch normalisation. A channel's values, counted over all images, are cut into parts, one block for each. The first kernel of
   a pass leaves sums over the parts, the second adds them up (every block those of its channel, in the same order) and works
   on the values: so the forward pass reads x twice and the backward pass reads dy and x̂ twice, the second time mostly from the
   cache. */

typedef struct {
    u32 outer, dim, inner; /* images, channels, values of a channel in an image */
    u32 parts, length;     /* a channel's parts, and the values of each but the last: a multiple of CHUNK */
} Spans;

/* Values that one thread holds at once, and one block. */
#define HELD 16
#define CHUNK (THREADS * HELD)

/* What a block works on. */
typedef struct {
    u32 channel, part, begin, end;
} Part;

DEVICE Part part_of(Spans spans) {
    Part part;
    u32 count = spans.outer * spans.inner;
    EXPECT(gridDim.x == spans.dim * spans.parts && blockDim.x == THREADS && spans.parts <= THREADS);
    part.channel = blockIdx.x / spans.parts;
    part.part = blockIdx.x - part.channel * spans.parts;
    part.begin = part.part * spans.length;
    part.end = count - part.begin < spans.length ? count : part.begin + spans.length;
    return part;
}

/* How many values a part of this number has, 0 when there is no such part. */
DEVICE float size_of_part(Spans spans, u32 part) {
    u32 count = spans.outer * spans.inner, begin = part * spans.length;
    if (part >= spans.parts) {
        return 0.0f;
    }
    return (float)(count - begin < spans.length ? count - begin : spans.length);
}

/* Where the channel's value lies in the blob. */
DEVICE u32 place_of(Spans spans, u32 channel, u32 value) {
    u32 outer = value / spans.inner;
    return (outer * spans.dim + channel) * spans.inner + value - outer * spans.inner;
}

/* For each four values of the part by one thread, or fewer where runs are no multiple of four or `aligned` is not 0: `at` is the
   place of the first in the blob, `width` their number (4 or 1). */
#define EACH_PLACE(at, width, spans, part, aligned)                                                                    \
    for (u32 width = (aligned) && (spans).inner % 4 == 0 ? 4 : 1, value = (part).begin + width * threadIdx.x, at;      \
         value < (part).end && (at = place_of(spans, (part).channel, value), 1); value += width * blockDim.x)

/* Mean of each part, and behind all means the sum of squared deviations from it: chunk by chunk, each held in registers. */
KERNEL statistics(float *partial, const float *x, Spans spans) {
    Part part = part_of(spans);
    int by_four = ALIGNED(x) && spans.inner % 4 == 0;
    float mean = 0.0f, squares = 0.0f, seen = 0.0f;
    for (u32 begin = part.begin; begin < part.end; begin += CHUNK) {
        float held[HELD], sum = 0.0f, deviations = 0.0f;
        u32 here = part.end - begin < CHUNK ? part.end - begin : CHUNK;
        if (by_four) {
            for (u32 k = 0; k < HELD; k += 4) {
                u32 value = 4 * threadIdx.x + k * THREADS;
                float4 u;
                u.x = 0.0f, u.y = 0.0f, u.z = 0.0f, u.w = 0.0f;
                if (value < here) {
                    u = *(const float4 *)(x + place_of(spans, part.channel, begin + value));
                }
                held[k] = u.x, held[k + 1] = u.y, held[k + 2] = u.z, held[k + 3] = u.w;
            }
        } else {
            for (u32 k = 0; k < HELD; k++) {
                u32 value = threadIdx.x + k * THREADS;
                held[k] = value < here ? x[place_of(spans, part.channel, begin + value)] : 0.0f;
            }
        }
        for (u32 k = 0; k < HELD; k++) {
            sum += held[k];
        }
        float chunk_mean = block_sum(sum) / (float)here;
        for (u32 k = 0; k < HELD; k++) {
            u32 value = by_four ? 4 * threadIdx.x + k / 4 * 4 * THREADS : threadIdx.x + k * THREADS;
            float deviation = value < here ? held[k] - chunk_mean : 0.0f;
            deviations += deviation * deviation;
        }
        deviations = block_sum(deviations);
        /* Two sets of values become one (Chan, Golub and LeVeque, 1979). */
        float all = seen + (float)here, apart = chunk_mean - mean;
        mean = mean + apart * ((float)here / all);
        squares = squares + deviations + apart * apart * (seen * ((float)here / all));
        seen = all;
    }
    if (threadIdx.x == 0) {
        partial[blockIdx.x] = mean;
        partial[gridDim.x + blockIdx.x] = squares;
    }
}

/* What the second kernel of the forward pass does besides normalising. */
typedef struct {
    float epsilon;
    u32 is_relu;
    const float *factors, *shifts; /* γ and β, or nothing */
    /* The moving sums of mean and variance and their weight, or nothing; by how much old values count, and new variances. */
    float *mean_sum, *variance_sum, *weight_sum;
    float fraction, unbiased;
} Following;

DEVICE float ended(float x, float factor, float shift, int is_affine, u32 is_relu) {
    float y = is_affine ? x * factor + shift : x;
    return is_relu && y < 0.0f ? 0.0f : y;
}

/* y from x, x̂ to `kept` when that is given. Without `partial` mean and variance are given; with it they are written. The
   deviation, √(variance + ε), is written either way. */
KERNEL normalize(
    float *y, float *kept, float *mean_of, float *variance_of, float *deviation_of, const float *x, const float *partial,
    Spans spans, Following following) {
    Part part = part_of(spans);
    u32 channel = part.channel;
    float mean, variance;
    if (partial) {
        float count = (float)(spans.outer * spans.inner), size = size_of_part(spans, threadIdx.x);
        u32 mine = channel * spans.parts + (threadIdx.x < spans.parts ? threadIdx.x : 0);
        mean = block_sum(size * partial[mine]) / count;
        float apart = partial[mine] - mean;
        float squares = threadIdx.x < spans.parts ? partial[gridDim.x + mine] + size * (apart * apart) : 0.0f;
        variance = block_sum(squares) / count;
        if (part.part == 0 && threadIdx.x == 0) {
            mean_of[channel] = mean;
            variance_of[channel] = variance;
            if (following.mean_sum) {
                following.mean_sum[channel] = mean + following.fraction * following.mean_sum[channel];
                following.variance_sum[channel] =
                    following.unbiased * variance + following.fraction * following.variance_sum[channel];
                if (channel == 0) {
                    following.weight_sum[0] = 1.0f + following.fraction * following.weight_sum[0];
                }
            }
        }
    } else {
        mean = mean_of[channel];
        variance = variance_of[channel];
    }
    float deviation = sqrtf(variance + following.epsilon);
    if (part.part == 0 && threadIdx.x == 0) {
        deviation_of[channel] = deviation;
    }
    int is_affine = following.factors != 0;
    float factor = is_affine ? following.factors[channel] : 1.0f;
    float shift = following.shifts ? following.shifts[channel] : 0.0f;
    EACH_PLACE(at, width, spans, part, ALIGNED(x) && ALIGNED(y) && ALIGNED(kept)) {
        if (width == 4) {
            float4 u = *(const float4 *)(x + at);
            u.x = (u.x - mean) / deviation, u.y = (u.y - mean) / deviation;
            u.z = (u.z - mean) / deviation, u.w = (u.w - mean) / deviation;
            if (kept) {
                *(float4 *)(kept + at) = u;
            }
            u.x = ended(u.x, factor, shift, is_affine, following.is_relu);
            u.y = ended(u.y, factor, shift, is_affine, following.is_relu);
            u.z = ended(u.z, factor, shift, is_affine, following.is_relu);
            u.w = ended(u.w, factor, shift, is_affine, following.is_relu);
            *(float4 *)(y + at) = u;
        } else {
            float normalized = (x[at] - mean) / deviation;
            if (kept) {
                kept[at] = normalized;
            }
            y[at] = ended(normalized, factor, shift, is_affine, following.is_relu);
        }
    }
}

DEVICE float through_relu(float dy, const float *y, u32 at) {
    return y ? dy * (y[at] > 0.0f ? 1.0f : 0.0f) : dy;
}

DEVICE float4 four_through_relu(float4 dy, const float *y, u32 at) {
    if (y) {
        float4 v = *(const float4 *)(y + at);
        dy.x *= v.x > 0.0f ? 1.0f : 0.0f, dy.y *= v.y > 0.0f ? 1.0f : 0.0f;
        dy.z *= v.z > 0.0f ? 1.0f : 0.0f, dy.w *= v.w > 0.0f ? 1.0f : 0.0f;
    }
    return dy;
}

/* Σ g and behind all of these Σ g·x̂ of each part; g is dy behind the ReLU that made y, if one did. */
KERNEL gradient_sums(float *partial, const float *dy, const float *y, const float *normalized, Spans spans) {
    Part part = part_of(spans);
    float plain = 0.0f, products = 0.0f;
    EACH_PLACE(at, width, spans, part, ALIGNED(dy) && ALIGNED(y) && ALIGNED(normalized)) {
        if (width == 4) {
            float4 g = four_through_relu(*(const float4 *)(dy + at), y, at);
            float4 u = *(const float4 *)(normalized + at);
            plain += (g.x + g.y) + (g.z + g.w);
            products += (g.x * u.x + g.y * u.y) + (g.z * u.z + g.w * u.w);
        } else {
            float g = through_relu(dy[at], y, at);
            plain += g;
            products += g * normalized[at];
        }
    }
    plain = block_sum(plain);
    products = block_sum(products);
    if (threadIdx.x == 0) {
        partial[blockIdx.x] = plain;
        partial[gridDim.x + blockIdx.x] = products;
    }
}

/* dx, when it is wanted; with `partial` the sums go to `plain` and `products`, and are added to the gradients of β and γ where
   these are wanted. With `through_statistics` the gradient goes through mean and variance as well. */
KERNEL gradient(
    float *dx, float *plain, float *products, float *shift_diff, float *factor_diff, const float *partial, const float *dy, const float *y,
    const float *normalized, const float *deviation_of, const float *factors, Spans spans, u32 through_statistics) {
    Part part = part_of(spans);
    u32 channel = part.channel;
    float count = (float)(spans.outer * spans.inner), factor = factors ? factors[channel] : 1.0f;
    float mean = 0.0f, slope = 0.0f;
    if (partial) {
        u32 mine = channel * spans.parts + (threadIdx.x < spans.parts ? threadIdx.x : 0);
        float sum = block_sum(threadIdx.x < spans.parts ? partial[mine] : 0.0f);
        float product = block_sum(threadIdx.x < spans.parts ? partial[spans.dim * spans.parts + mine] : 0.0f);
        if (part.part == 0 && threadIdx.x == 0) {
            plain[channel] = sum;
            products[channel] = product;
            if (shift_diff) {
                shift_diff[channel] = sum + shift_diff[channel];
            }
            if (factor_diff) {
                factor_diff[channel] = product + factor_diff[channel];
            }
        }
        if (through_statistics) {
            mean = factor * sum / count;
            slope = factor * product / count;
        }
    }
    if (!dx) {
        return;
    }
    float deviation = deviation_of[channel];
    EACH_PLACE(at, width, spans, part, ALIGNED(dx) && ALIGNED(dy) && ALIGNED(y) && ALIGNED(normalized)) {
        if (width == 4) {
            float4 g = four_through_relu(*(const float4 *)(dy + at), y, at), u;
            u.x = 0.0f, u.y = 0.0f, u.z = 0.0f, u.w = 0.0f;
            if (through_statistics) {
                u = *(const float4 *)(normalized + at);
            }
            g.x = (g.x * factor - mean - slope * u.x) / deviation, g.y = (g.y * factor - mean - slope * u.y) / deviation;
            g.z = (g.z * factor - mean - slope * u.z) / deviation, g.w = (g.w * factor - mean - slope * u.w) / deviation;
            *(float4 *)(dx + at) = g;
        } else {
            float g = through_relu(dy[at], y, at) * factor;
            dx[at] = through_statistics ? (g - mean - slope * normalized[at]) / deviation : g / deviation;
        }
    }
}

/* x = average / weight, 0 when the weight is 0. */
KERNEL read_average(float *x, const float *average, const float *weight, u32 count) {
    float factor = weight[0] == 0.0f ? 0.0f : 1.0f / weight[0];
    EACH(index, count) {
        x[index] = factor * average[index];
    }
}
