/* Values divided by the length of their image, or of their place's vector of channels, and multiplied by γ. */

typedef struct {
    u32 images, channels, places, is_whole, shared; /* shared: one γ for all channels */
    float eps;
} Geometry;

DEVICE float factor_of(const float *factors, Geometry geometry, u32 channel) {
    return factors[geometry.shared ? 0 : channel];
}

/* One length for an image: a block for each image. */
KERNEL forward_whole(float *y, float *norms, const float *x, const float *factors, Geometry geometry) {
    EXPECT(gridDim.x == geometry.images && geometry.is_whole);
    u32 count = geometry.channels * geometry.places;
    float squares = 0.0f;
    x += (unsigned long long)blockIdx.x * count;
    y += (unsigned long long)blockIdx.x * count;
    for (u32 index = threadIdx.x; index < count; index += blockDim.x) {
        squares += x[index] * x[index];
    }
    float norm = sqrtf(geometry.eps + block_sum(squares));
    float inverse = 1.0f / norm;
    if (threadIdx.x == 0) {
        norms[blockIdx.x] = norm;
    }
    for (u32 index = threadIdx.x; index < count; index += blockDim.x) {
        y[index] = x[index] * inverse * factor_of(factors, geometry, index / geometry.places);
    }
}

/* One for each place: a thread for each. */
KERNEL forward_places(float *y, float *norms, const float *x, const float *factors, Geometry geometry) {
    EACH(place, geometry.images * geometry.places) {
        u32 image = place / geometry.places;
        u32 first = image * geometry.channels * geometry.places + place - image * geometry.places;
        float norm = geometry.eps;
        for (u32 channel = 0; channel < geometry.channels; channel++) {
            float value = x[first + channel * geometry.places];
            norm += value * value;
        }
        norm = sqrtf(norm);
        norms[place] = norm;
        for (u32 channel = 0; channel < geometry.channels; channel++) {
            u32 at = first + channel * geometry.places;
            y[at] = x[at] / norm * factor_of(factors, geometry, channel);
        }
    }
}

KERNEL backward_whole(
    float *dx, const float *x, const float *factors, const float *norms, const float *dy, Geometry geometry) {
    EXPECT(gridDim.x == geometry.images && geometry.is_whole);
    u32 count = geometry.channels * geometry.places;
    unsigned long long first = (unsigned long long)blockIdx.x * count;
    float sum = 0.0f, norm = norms[blockIdx.x];
    dx += first, x += first, dy += first;
    for (u32 index = threadIdx.x; index < count; index += blockDim.x) {
        sum += factor_of(factors, geometry, index / geometry.places) * dy[index] * x[index];
    }
    sum = block_sum(sum) / (norm * norm);
    for (u32 index = threadIdx.x; index < count; index += blockDim.x) {
        float factor = factor_of(factors, geometry, index / geometry.places);
        dx[index] = (factor * dy[index] - x[index] * sum) / norm;
    }
}

KERNEL backward_places(
    float *dx, const float *x, const float *factors, const float *norms, const float *dy, Geometry geometry) {
    EACH(place, geometry.images * geometry.places) {
        u32 image = place / geometry.places;
        u32 first = image * geometry.channels * geometry.places + place - image * geometry.places;
        float sum = 0.0f, norm = norms[place];
        for (u32 channel = 0; channel < geometry.channels; channel++) {
            u32 at = first + channel * geometry.places;
            sum += factor_of(factors, geometry, channel) * dy[at] * x[at];
        }
        sum = sum / (norm * norm);
        for (u32 channel = 0; channel < geometry.channels; channel++) {
            u32 at = first + channel * geometry.places;
            dx[at] = (factor_of(factors, geometry, channel) * dy[at] - x[at] * sum) / norm;
        }
    }
}

/* Σ dy·x / norm over a channel, or over all where they share γ: a block for each γ; added to what is there. */
KERNEL backward_factors(float *diff, const float *x, const float *norms, const float *dy, Geometry geometry) {
    EXPECT(gridDim.x == (geometry.shared ? 1 : geometry.channels));
    u32 channels = geometry.shared ? geometry.channels : 1, places = geometry.places;
    float sum = 0.0f;
    for (u32 index = threadIdx.x; index < geometry.images * channels * places; index += blockDim.x) {
        u32 run = index / places, place = index - run * places, image = run / channels;
        u32 channel = blockIdx.x + run - image * channels;
        u32 at = (image * geometry.channels + channel) * places + place;
        sum += x[at] * dy[at] / norms[geometry.is_whole ? image : image * places + place];
    }
    sum = block_sum(sum);
    if (threadIdx.x == 0) {
        diff[blockIdx.x] += sum;
    }
}
