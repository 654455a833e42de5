/* Pooling: windows of planes. Values of a window are visited in scan order, windows of a value in theirs, as on the host. */

#define NONE 0xffffffffu

typedef struct {
    u32 input, output, kernel, stride, pad;
} Axis;

typedef struct {
    u32 planes;
    Axis height, width;
} Pooling;

/* Places along an axis. */
typedef struct {
    u32 start, end;
} Range;

/* The values of a window. */
DEVICE Range window(Axis axis, u32 output) {
    u32 start = output * axis.stride, end = start + axis.kernel;
    Range range;
    range.start = start > axis.pad ? start - axis.pad : 0;
    range.end = end > axis.pad ? end - axis.pad : 0;
    if (range.end > axis.input) range.end = axis.input;
    return range;
}

/* The size of a window, clipped to the padded plane: 0 or less for one beyond it. */
DEVICE float extent(Axis axis, u32 output) {
    int start = (int)(output * axis.stride), end = start + (int)axis.kernel, last = (int)(axis.input + 2 * axis.pad);
    return (float)((end < last ? end : last) - start);
}

/* The windows that hold a value. */
DEVICE Range holders(Axis axis, u32 position) {
    u32 padded = position + axis.pad;
    Range range;
    range.start = padded < axis.kernel ? 0 : (padded - axis.kernel) / axis.stride + 1;
    range.end = padded / axis.stride + 1;
    if (range.end > axis.output) range.end = axis.output;
    return range;
}

KERNEL max_forward(float *y, u32 *mask, const float *x, u32 count, Pooling sizes) {
    EACH(index, count) {
        u32 across = index % sizes.width.output, down = index / sizes.width.output % sizes.height.output;
        u32 plane = index / sizes.width.output / sizes.height.output;
        Range rows = window(sizes.height, down), columns = window(sizes.width, across);
        const float *values = x + plane * sizes.height.input * sizes.width.input;
        float best = -3.402823466e38f;
        u32 at = NONE;
        for (u32 row = rows.start; row < rows.end; row++) {
            for (u32 column = columns.start; column < columns.end; column++) {
                u32 place = row * sizes.width.input + column;
                float value = values[place];
                if (value > best) {
                    best = value;
                    at = place;
                }
            }
        }
        y[index] = best;
        mask[index] = at;
    }
}

KERNEL max_backward(float *dx, const u32 *mask, const float *dy, u32 count, Pooling sizes) {
    EACH(index, count) {
        u32 column = index % sizes.width.input, row = index / sizes.width.input % sizes.height.input;
        u32 plane = index / sizes.width.input / sizes.height.input, place = row * sizes.width.input + column;
        Range downs = holders(sizes.height, row), acrosses = holders(sizes.width, column);
        u32 outputs = plane * sizes.height.output * sizes.width.output;
        float sum = 0.0f;
        for (u32 down = downs.start; down < downs.end; down++) {
            for (u32 across = acrosses.start; across < acrosses.end; across++) {
                u32 output = outputs + down * sizes.width.output + across;
                if (mask[output] == place) sum += dy[output];
            }
        }
        dx[index] = sum;
    }
}

KERNEL write_mask(float *values, const u32 *mask, u32 count) {
    EACH(index, count) {
        values[index] = mask[index] == NONE ? -1.0f : (float)mask[index];
    }
}

KERNEL average_forward(float *y, const float *x, u32 count, Pooling sizes) {
    EACH(index, count) {
        u32 across = index % sizes.width.output, down = index / sizes.width.output % sizes.height.output;
        u32 plane = index / sizes.width.output / sizes.height.output;
        Range rows = window(sizes.height, down), columns = window(sizes.width, across);
        const float *values = x + plane * sizes.height.input * sizes.width.input;
        float sum = 0.0f;
        for (u32 row = rows.start; row < rows.end; row++) {
            for (u32 column = columns.start; column < columns.end; column++)
                sum += values[row * sizes.width.input + column];
        }
        y[index] = sum / (extent(sizes.height, down) * extent(sizes.width, across));
    }
}

/* The same for large windows: a warp for each. */
KERNEL average_large(float *y, const float *x, u32 count, Pooling sizes) {
    u32 lane = threadIdx.x % 32, warps = gridDim.x * (blockDim.x / 32);
    EXPECT(blockDim.x % 32 == 0);
    for (u32 index = blockIdx.x * (blockDim.x / 32) + threadIdx.x / 32; index < count; index += warps) {
        u32 across = index % sizes.width.output, down = index / sizes.width.output % sizes.height.output;
        u32 plane = index / sizes.width.output / sizes.height.output;
        Range rows = window(sizes.height, down), columns = window(sizes.width, across);
        const float *values = x + plane * sizes.height.input * sizes.width.input;
        /* A window that begins behind the plane has none of its values. */
        u32 high = rows.end > rows.start ? rows.end - rows.start : 0, wide = columns.end > columns.start ? columns.end - columns.start : 0;
        float sum = 0.0f;
        for (u32 value = lane; value < high * wide; value += 32)
            sum += values[(rows.start + value / wide) * sizes.width.input + columns.start + value % wide];
        for (int distance = 16; distance > 0; distance /= 2)
            sum += __shfl_xor_sync(0xffffffffu, sum, distance);
        if (lane == 0) y[index] = sum / (extent(sizes.height, down) * extent(sizes.width, across));
    }
}

KERNEL average_backward(float *dx, const float *dy, u32 count, Pooling sizes) {
    EACH(index, count) {
        u32 column = index % sizes.width.input, row = index / sizes.width.input % sizes.height.input;
        u32 plane = index / sizes.width.input / sizes.height.input;
        Range downs = holders(sizes.height, row), acrosses = holders(sizes.width, column);
        const float *outputs = dy + plane * sizes.height.output * sizes.width.output;
        float sum = 0.0f;
        for (u32 down = downs.start; down < downs.end; down++) {
            float high = extent(sizes.height, down);
            for (u32 across = acrosses.start; across < acrosses.end; across++)
                sum += outputs[down * sizes.width.output + across] / (high * extent(sizes.width, across));
        }
        dx[index] = sum;
    }
}

/* Σ x over a window, and Σ x². */
DEVICE float sum_of(const float *values, Range rows, Range columns, u32 width, float *squares) {
    float sum = 0.0f;
    *squares = 0.0f;
    for (u32 row = rows.start; row < rows.end; row++) {
        for (u32 column = columns.start; column < columns.end; column++) {
            float value = values[row * width + column];
            sum += value;
            *squares += value * value;
        }
    }
    return sum;
}

KERNEL stochastic_forward(float *y, u32 *mask, const float *x, const float *draws, u32 count, Pooling sizes) {
    EACH(index, count) {
        u32 across = index % sizes.width.output, down = index / sizes.width.output % sizes.height.output;
        u32 plane = index / sizes.width.output / sizes.height.output;
        Range rows = window(sizes.height, down), columns = window(sizes.width, across);
        const float *values = x + plane * sizes.height.input * sizes.width.input;
        float squares, sum = sum_of(values, rows, columns, sizes.width.input, &squares);
        float threshold = draws[index] * sum, reached = 0.0f;
        u32 at = NONE;
        for (u32 row = rows.start; row < rows.end && at == NONE; row++) {
            for (u32 column = columns.start; column < columns.end && at == NONE; column++) {
                u32 place = row * sizes.width.input + column;
                reached += values[place];
                if (reached >= threshold) at = place;
            }
        }
        mask[index] = at;
        /* None: a NaN in the window, which then shows. */
        y[index] = at == NONE ? nanf("") : values[at];
    }
}

KERNEL expected_forward(float *y, const float *x, u32 count, Pooling sizes) {
    EACH(index, count) {
        u32 across = index % sizes.width.output, down = index / sizes.width.output % sizes.height.output;
        u32 plane = index / sizes.width.output / sizes.height.output;
        const float *values = x + plane * sizes.height.input * sizes.width.input;
        float squares;
        float sum = sum_of(values, window(sizes.height, down), window(sizes.width, across), sizes.width.input, &squares);
        y[index] = sum > 0.0f ? squares / sum : 0.0f;
    }
}

KERNEL expected_backward(float *dx, const float *x, const float *y, const float *dy, u32 count, Pooling sizes) {
    EACH(index, count) {
        u32 column = index % sizes.width.input, row = index / sizes.width.input % sizes.height.input;
        u32 plane = index / sizes.width.input / sizes.height.input;
        Range downs = holders(sizes.height, row), acrosses = holders(sizes.width, column);
        const float *values = x + plane * sizes.height.input * sizes.width.input;
        float diff = 0.0f;
        for (u32 down = downs.start; down < downs.end; down++) {
            for (u32 across = acrosses.start; across < acrosses.end; across++) {
                u32 output = (plane * sizes.height.output + down) * sizes.width.output + across;
                float squares;
                float sum = sum_of(values, window(sizes.height, down), window(sizes.width, across), sizes.width.input, &squares);
                if (sum > 0.0f) diff += dy[output] * (2.0f * x[index] - y[output]) / sum;
            }
        }
        dx[index] = diff;
    }
}
