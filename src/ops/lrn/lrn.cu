/* Local response normalisation. Neighbours are added in the host's order. */

typedef struct {
    u32 images, channels, height, width, radius;
    /* Of the sum of squares in s; the exponent; what is added; of the gradient that goes through s. */
    float weight, beta, k, factor;
} Normalization;

/* s^(-β), the usual exponents as products of square roots. */
DEVICE float inverse_power(float s, float beta) {
    float root = sqrtf(s);
    if (beta == 0.75f) return 1.0f / (root * sqrtf(root));
    if (beta == 0.5f) return 1.0f / root;
    if (beta == 1.0f) return 1.0f / s;
    return powf(s, -beta);
}

/* The part of the gradient that goes through s; `direct` takes the other part. */
DEVICE float through(const Normalization *sizes, float x, float s, float dy, float *direct) {
    *direct = dy * inverse_power(s, sizes->beta);
    return sizes->factor * *direct * x / s;
}

/* The channels around one. */
DEVICE u32 first_of(u32 channel, u32 radius) {
    return channel < radius ? 0 : channel - radius;
}

DEVICE u32 end_of(u32 place, u32 radius, u32 count) {
    return place + radius + 1 < count ? place + radius + 1 : count;
}

KERNEL across_forward(float *y, float *scale, const float *x, u32 count, Normalization sizes) {
    u32 area = sizes.height * sizes.width;
    EACH(index, count) {
        u32 channel = index / area % sizes.channels, first = first_of(channel, sizes.radius);
        u32 end = end_of(channel, sizes.radius, sizes.channels);
        const float *around = x + index - (channel - first) * area;
        float sum = 0.0f;
        for (u32 neighbour = first; neighbour < end; neighbour++, around += area)
            sum += *around * *around;
        float s = sizes.k + sizes.weight * sum;
        scale[index] = s;
        y[index] = x[index] * inverse_power(s, sizes.beta);
    }
}

KERNEL across_backward(float *dx, const float *x, const float *scale, const float *dy, u32 count, Normalization sizes) {
    u32 area = sizes.height * sizes.width;
    EACH(index, count) {
        u32 channel = index / area % sizes.channels, first = first_of(channel, sizes.radius);
        u32 end = end_of(channel, sizes.radius, sizes.channels), at = index - (channel - first) * area;
        float sum = 0.0f, direct = 0.0f, own;
        for (u32 neighbour = first; neighbour < end; neighbour++, at += area)
            sum += through(&sizes, x[at], scale[at], dy[at], &own);
        through(&sizes, x[index], scale[index], dy[index], &direct);
        dx[index] = direct + x[index] * sum;
    }
}

/* The same for neighbourhoods of five, which nets have: a thread walks along CHANNELS channels of one position, and keeps what it has
 * read of the last five. */
#define CHANNELS 16

DEVICE bool walk(u32 index, Normalization sizes, u32 *start, u32 *first) {
    u32 area = sizes.height * sizes.width, parts = divide_up(sizes.channels, CHANNELS);
    u32 part = index / area % parts, image = index / area / parts;
    *first = part * CHANNELS;
    *start = image * sizes.channels * area + index % area;
    return image < sizes.images;
}

KERNEL across_forward_five(float *y, float *scale, const float *x, u32 count, Normalization sizes) {
    u32 area = sizes.height * sizes.width;
    EACH(index, count) {
        u32 start, first;
        if (!walk(index, sizes, &start, &first)) continue;
        const float *values = x + start;
        /* Of channels channel - 2 to channel + 2. */
        float a = first < 2 ? 0.0f : values[(first - 2) * area], b = first < 1 ? 0.0f : values[(first - 1) * area];
        float c = values[first * area], d = first + 1 < sizes.channels ? values[(first + 1) * area] : 0.0f;
        u32 end = end_of(first, CHANNELS - 1, sizes.channels);
        for (u32 channel = first; channel < end; channel++) {
            float e = channel + 2 < sizes.channels ? values[(channel + 2) * area] : 0.0f;
            float s = sizes.k + sizes.weight * (a * a + b * b + c * c + d * d + e * e);
            scale[start + channel * area] = s;
            y[start + channel * area] = c * inverse_power(s, sizes.beta);
            a = b, b = c, c = d, d = e;
        }
    }
}

KERNEL across_backward_five(float *dx, const float *x, const float *scale, const float *dy, u32 count, Normalization sizes) {
    u32 area = sizes.height * sizes.width;
    EACH(index, count) {
        u32 start, first;
        if (!walk(index, sizes, &start, &first)) continue;
        /* Of channels channel - 2 to channel + 2: parts of the gradient through s, values, direct parts. */
        float v[5] = {0.0f, 0.0f, 0.0f, 0.0f, 0.0f}, values[3] = {0.0f, 0.0f, 0.0f}, direct[3] = {0.0f, 0.0f, 0.0f};
        u32 end = end_of(first, CHANNELS - 1, sizes.channels);
        for (u32 next = first_of(first, 2); next < end + 2; next++) {
            v[4] = values[2] = direct[2] = 0.0f;
            if (next < sizes.channels) {
                u32 at = start + next * area;
                values[2] = x[at];
                v[4] = through(&sizes, values[2], scale[at], dy[at], &direct[2]);
            }
            if (next >= first + 2) dx[start + (next - 2) * area] = direct[0] + values[0] * (v[0] + v[1] + v[2] + v[3] + v[4]);
            v[0] = v[1], v[1] = v[2], v[2] = v[3], v[3] = v[4];
            values[0] = values[1], values[1] = values[2];
            direct[0] = direct[1], direct[1] = direct[2];
        }
    }
}

/* The sum of the squares around a place of a plane: along the rows, then down. */
KERNEL within_forward(float *y, float *scale, const float *x, u32 count, Normalization sizes) {
    EACH(index, count) {
        u32 column = index % sizes.width, row = index / sizes.width % sizes.height;
        const float *plane = x + index - row * sizes.width - column;
        u32 left = first_of(column, sizes.radius), right = end_of(column, sizes.radius, sizes.width);
        u32 bottom = end_of(row, sizes.radius, sizes.height);
        float sum = 0.0f;
        for (u32 down = first_of(row, sizes.radius); down < bottom; down++) {
            float along = 0.0f;
            for (u32 across = left; across < right; across++) {
                float value = plane[down * sizes.width + across];
                along += value * value;
            }
            sum += along;
        }
        float s = sizes.k + sizes.weight * sum;
        scale[index] = s;
        y[index] = x[index] * inverse_power(s, sizes.beta);
    }
}

KERNEL within_backward(float *dx, const float *x, const float *scale, const float *dy, u32 count, Normalization sizes) {
    EACH(index, count) {
        u32 column = index % sizes.width, row = index / sizes.width % sizes.height;
        u32 plane = index - row * sizes.width - column;
        u32 left = first_of(column, sizes.radius), right = end_of(column, sizes.radius, sizes.width);
        u32 bottom = end_of(row, sizes.radius, sizes.height);
        float sum = 0.0f, direct;
        for (u32 down = first_of(row, sizes.radius); down < bottom; down++) {
            float along = 0.0f;
            for (u32 across = left; across < right; across++) {
                u32 at = plane + down * sizes.width + across;
                along += through(&sizes, x[at], scale[at], dy[at], &direct);
            }
            sum += along;
        }
        through(&sizes, x[index], scale[index], dy[index], &direct);
        dx[index] = direct + x[index] * sum;
    }
}

/* The same for planes of which some fit into shared memory: there the part through s is computed once for each value. */
#define SHARED_VALUES 4096

KERNEL within_backward_planes(float *dx, const float *x, const float *scale, const float *dy, u32 count, u32 planes, Normalization sizes) {
    SHARED float parts[SHARED_VALUES];
    u32 area = sizes.height * sizes.width, first = blockIdx.x * planes * area;
    EXPECT(planes * area <= SHARED_VALUES && gridDim.x == divide_up(count, planes * area));
    u32 values = count - first < planes * area ? count - first : planes * area;
    for (u32 place = threadIdx.x; place < values; place += blockDim.x) {
        float direct;
        parts[place] = through(&sizes, x[first + place], scale[first + place], dy[first + place], &direct);
        dx[first + place] = direct;
    }
    __syncthreads();
    for (u32 place = threadIdx.x; place < values; place += blockDim.x) {
        u32 column = place % sizes.width, row = place / sizes.width % sizes.height;
        const float *plane = parts + place - row * sizes.width - column;
        u32 left = first_of(column, sizes.radius), right = end_of(column, sizes.radius, sizes.width);
        u32 bottom = end_of(row, sizes.radius, sizes.height);
        float sum = 0.0f;
        for (u32 down = first_of(row, sizes.radius); down < bottom; down++) {
            float along = 0.0f;
            for (u32 across = left; across < right; across++)
                along += plane[down * sizes.width + across];
            sum += along;
        }
        dx[first + place] += x[first + place] * sum;
    }
}
