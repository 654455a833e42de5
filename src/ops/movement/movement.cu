/* Moving values without computing. */

/* `count` runs of `length` values, evenly spaced in source and destination. */
typedef struct {
    u32 count, length, from_start, from_step, to_start, to_step;
} Runs;

/* Whether all runs can be moved by four values at once. */
DEVICE int goes_by_four(const float *to, const float *from, Runs runs) {
    return (runs.length | runs.from_step | runs.to_step) % 4 == 0 && ALIGNED(from + runs.from_start)
        && ALIGNED(to + runs.to_start);
}

KERNEL copy_runs(float *to, const float *from, Runs runs) {
    if (goes_by_four(to, from, runs)) {
        u32 length = runs.length / 4;
        const float4 *sources = (const float4 *)(from + runs.from_start);
        float4 *places = (float4 *)(to + runs.to_start);
        EACH(four, runs.count * length) {
            u32 run = four / length, within = four - run * length;
            places[run * (runs.to_step / 4) + within] = sources[run * (runs.from_step / 4) + within];
        }
    } else {
        EACH(value, runs.count * runs.length) {
            u32 run = value / runs.length, within = value - run * runs.length;
            to[runs.to_start + run * runs.to_step + within] = from[runs.from_start + run * runs.from_step + within];
        }
    }
}

KERNEL add_runs(float *to, const float *from, Runs runs) {
    if (goes_by_four(to, from, runs)) {
        u32 length = runs.length / 4;
        const float4 *sources = (const float4 *)(from + runs.from_start);
        float4 *places = (float4 *)(to + runs.to_start);
        EACH(four, runs.count * length) {
            u32 run = four / length, within = four - run * length;
            float4 u = sources[run * (runs.from_step / 4) + within];
            float4 sum = places[run * (runs.to_step / 4) + within];
            sum.x += u.x, sum.y += u.y, sum.z += u.z, sum.w += u.w;
            places[run * (runs.to_step / 4) + within] = sum;
        }
    } else {
        EACH(value, runs.count * runs.length) {
            u32 run = value / runs.length, within = value - run * runs.length;
            to[runs.to_start + run * runs.to_step + within] += from[runs.from_start + run * runs.from_step + within];
        }
    }
}

/* Listed moves: pairs of a source's and a destination's first value. */
KERNEL copy_listed(float *to, const float *from, const u32 *moves, u32 count, u32 length) {
    EACH(value, count * length) {
        u32 move = value / length, within = value - move * length;
        to[moves[2 * move + 1] + within] = from[moves[2 * move] + within];
    }
}

/* A destination may be named several times: each value's thread goes through all moves in their order. */
KERNEL add_listed(float *to, const float *from, const u32 *moves, u32 count, u32 length) {
    EACH(within, length) {
        for (u32 move = 0; move < count; move++) {
            to[moves[2 * move + 1] + within] += from[moves[2 * move] + within];
        }
    }
}

/* For each plane of `length` values: the values that the table names; numbers past its end name none. */
KERNEL gather(float *to, const float *from, const u32 *table, u32 entries, u32 length, u32 planes) {
    EACH(value, planes * entries) {
        u32 plane = value / entries, place = table[value - plane * entries];
        to[value] = place < length ? from[plane * length + place] : 0.0f;
    }
}

/* The gradient of gather. `order` are the table's entries sorted by their place, `starts[place]..starts[place + 1]` those of one
   place. */
KERNEL scatter(
    float *to, const float *from, const u32 *order, const u32 *starts, u32 entries, u32 length, u32 planes) {
    EACH(value, planes * length) {
        u32 plane = value / length, place = value - plane * length;
        float sum = 0.0f;
        for (u32 at = starts[place]; at < starts[place + 1]; at++) {
            sum += from[plane * entries + order[at]];
        }
        to[value] = sum;
    }
}

/* Axes in another order: the result's dimensions, and for each the distance of neighbours in the source. */
#define MOST_AXES 8

typedef struct {
    u32 axes, dims[MOST_AXES], steps[MOST_AXES];
} Permutation;

KERNEL permute(float *to, const float *from, u32 count, Permutation permutation) {
    EACH(value, count) {
        u32 rest = value, source = 0;
        for (u32 back = 1; back <= MOST_AXES; back++) {
            u32 axis = MOST_AXES - back;
            if (axis >= permutation.axes) {
                continue;
            }
            u32 outer = rest / permutation.dims[axis];
            source += (rest - outer * permutation.dims[axis]) * permutation.steps[axis];
            rest = outer;
        }
        to[value] = from[source];
    }
}
