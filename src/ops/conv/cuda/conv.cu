/* What stands around the products of a convolution: weights as they read them, sums of parts, the bias; and convolutions whose groups
 * are so narrow that products have nothing to share. */

typedef struct {
    /* Values of a packed group, rows of a group with those that fill the last tile, rows. */
    u32 group, padded_rows, rows;
    /* Distance of rows and groups in the weights. */
    u32 row_step, group_step;
} Packing;

#define NO_WEIGHT 0xffffffffu

/* packed[group][k][row] = the weight of row and k, zero where there is none. */
KERNEL pack(float *packed, const float *weights, const u32 *table, u32 count, Packing sizes) {
    EACH(index, count) {
        u32 group = index / sizes.group, at = index % sizes.group, row = at % sizes.padded_rows;
        u32 weight = table[at / sizes.padded_rows];
        bool exists = row < sizes.rows && weight != NO_WEIGHT;
        packed[index] = exists ? weights[group * sizes.group_step + row * sizes.row_step + weight] : 0.0f;
    }
}

/* diff[i] += Σ_part parts[part][i]: 32 values a block, eight sums for each, which are added in their order. */
KERNEL __launch_bounds__(256) add_parts(float *diff, const float *parts, u32 count, u32 part_count) {
    SHARED float sums[8][32];
    EXPECT(blockDim.x == 256 && gridDim.x == divide_up(count, 32));
    u32 lane = threadIdx.x % 32, sum_number = threadIdx.x / 32, index = blockIdx.x * 32 + lane;
    float sum = 0.0f;
    if (index < count) {
        for (u32 part = sum_number; part < part_count; part += 8)
            sum += parts[part * count + index];
    }
    sums[sum_number][lane] = sum;
    __syncthreads();
    if (sum_number == 0 && index < count) {
        sum = 0.0f;
        for (u32 number = 0; number < 8; number++)
            sum += sums[number][lane];
        diff[index] += sum;
    }
}

/* parts[part][channel] = Σ top[image][channel][position] over the values of a part: one block each. */
KERNEL __launch_bounds__(256) sum_channels(float *parts, const float *top, u32 values, u32 part, Division plane, u32 channels) {
    EXPECT(blockDim.x == 256 && gridDim.x == channels);
    u32 begin = blockIdx.y * part, end = begin + part < values ? begin + part : values;
    float sum = 0.0f;
    for (u32 value = begin + threadIdx.x; value < end; value += 256) {
        u32 image = quotient(value, plane), position = value - image * plane.divisor;
        sum += top[(image * channels + blockIdx.x) * plane.divisor + position];
    }
    sum = block_sum(sum);
    if (threadIdx.x == 0) parts[blockIdx.y * channels + blockIdx.x] = sum;
}

typedef struct {
    u32 input, output, kernel, stride, pad, dilation;
} Axis;

typedef struct {
    u32 images, channels, outputs, groups;
    Axis height, width;
} Narrow;

/* Whether a tap of an output lies inside the source. */
DEVICE bool reads(Axis axis, u32 output, u32 tap, u32 *position) {
    *position = output * axis.stride + tap * axis.dilation - axis.pad;
    return *position < axis.input;
}

/* top = bottom ∗ weights (+ bias), output by output. */
KERNEL narrow_forward(float *top, const float *bottom, const float *weights, const float *bias, u32 count, Narrow sizes) {
    Axis height = sizes.height, width = sizes.width;
    u32 channels = sizes.channels / sizes.groups, outputs = sizes.outputs / sizes.groups;
    EACH(index, count) {
        u32 x = index % width.output, y = index / width.output % height.output, plane = index / width.output / height.output;
        u32 output = plane % sizes.outputs, image = plane / sizes.outputs, group = output / outputs;
        const float *weight = weights + output * channels * height.kernel * width.kernel;
        float sum = 0.0f;
        for (u32 channel = 0; channel < channels; channel++) {
            const float *source = bottom + (image * sizes.channels + group * channels + channel) * height.input * width.input;
            for (u32 tap_y = 0; tap_y < height.kernel; tap_y++) {
                for (u32 tap_x = 0; tap_x < width.kernel; tap_x++, weight++) {
                    u32 from_y, from_x;
                    if (reads(height, y, tap_y, &from_y) && reads(width, x, tap_x, &from_x))
                        sum = fmaf(*weight, source[from_y * width.input + from_x], sum);
                }
            }
        }
        top[index] = bias ? sum + bias[output] : sum;
    }
}

/* Whether some output reads a position by this tap. */
DEVICE bool is_read(Axis axis, u32 position, u32 tap, u32 *output) {
    u32 distance = position + axis.pad - tap * axis.dilation;
    *output = distance / axis.stride;
    return position + axis.pad >= tap * axis.dilation && distance % axis.stride == 0 && *output < axis.output;
}

/* bottom_diff = top_diff ∗ᵀ weights (+ bias), value by value. */
KERNEL narrow_bottom(float *bottom, const float *top, const float *weights, const float *bias, u32 count, Narrow sizes) {
    Axis height = sizes.height, width = sizes.width;
    u32 channels = sizes.channels / sizes.groups, outputs = sizes.outputs / sizes.groups, taps = height.kernel * width.kernel;
    EACH(index, count) {
        u32 x = index % width.input, y = index / width.input % height.input, plane = index / width.input / height.input;
        u32 channel = plane % sizes.channels, image = plane / sizes.channels, group = channel / channels;
        float sum = 0.0f;
        for (u32 output = group * outputs; output < (group + 1) * outputs; output++) {
            const float *source = top + (image * sizes.outputs + output) * height.output * width.output;
            const float *weight = weights + (output * channels + channel % channels) * taps;
            for (u32 tap_y = 0; tap_y < height.kernel; tap_y++) {
                u32 from_y, from_x;
                if (!is_read(height, y, tap_y, &from_y)) continue;
                for (u32 tap_x = 0; tap_x < width.kernel; tap_x++) {
                    if (is_read(width, x, tap_x, &from_x))
                        sum = fmaf(weight[tap_y * width.kernel + tap_x], source[from_y * width.output + from_x], sum);
                }
            }
        }
        bottom[index] = bias ? sum + bias[channel] : sum;
    }
}

/* parts[part][weight] = Σ over a part of all images' positions: one block each. */
KERNEL __launch_bounds__(256) narrow_weights(float *parts, const float *bottom, const float *top, u32 values, u32 part, Division plane,
                                             Division row, Narrow sizes) {
    Axis height = sizes.height, width = sizes.width;
    u32 channels = sizes.channels / sizes.groups, outputs = sizes.outputs / sizes.groups, taps = height.kernel * width.kernel;
    EXPECT(blockDim.x == 256 && gridDim.x == sizes.outputs * channels * taps);
    u32 tap_x = blockIdx.x % width.kernel, tap_y = blockIdx.x / width.kernel % height.kernel;
    u32 output = blockIdx.x / taps / channels, channel = output / outputs * channels + blockIdx.x / taps % channels;
    u32 begin = blockIdx.y * part, end = begin + part < values ? begin + part : values;
    float sum = 0.0f;
    for (u32 value = begin + threadIdx.x; value < end; value += 256) {
        u32 image = quotient(value, plane), position = value - image * plane.divisor;
        u32 y = quotient(position, row), x = position - y * row.divisor, from_y, from_x;
        if (reads(height, y, tap_y, &from_y) && reads(width, x, tap_x, &from_x)) {
            float diff = top[(image * sizes.outputs + output) * plane.divisor + position];
            sum = fmaf(diff, bottom[((image * sizes.channels + channel) * height.input + from_y) * width.input + from_x], sum);
        }
    }
    sum = block_sum(sum);
    if (threadIdx.x == 0) parts[blockIdx.y * gridDim.x + blockIdx.x] = sum;
}
