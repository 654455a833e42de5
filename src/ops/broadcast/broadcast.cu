/* A vector laid along some axes of a blob: y = factor·x + shift, and the sums that are its gradients. */

typedef struct {
    u32 outer, dim, inner;
} Spans;

/* y = factors·x + shifts; either may be missing. Each thread does four neighbours, so that finding their place in the vector
   costs little. */
KERNEL affine(float *y, const float *x, const float *factors, const float *shifts, Spans spans) {
    u32 count = spans.outer * spans.dim * spans.inner;
    int by_four = ALIGNED(y) && ALIGNED(x);
    EACH(four, divide_up(count, 4)) {
        u32 begin = 4 * four, run = begin / spans.inner;
        u32 place = run % spans.dim, within = begin - run * spans.inner;
        u32 there = count - begin < 4 ? count - begin : 4;
        float values[4];
        if (by_four && there == 4) {
            float4 u = ((const float4 *)x)[four];
            values[0] = u.x, values[1] = u.y, values[2] = u.z, values[3] = u.w;
        } else {
            for (u32 k = 0; k < 4; k++) {
                values[k] = k < there ? x[begin + k] : 0.0f;
            }
        }
        for (u32 k = 0; k < 4; k++) {
            float value = values[k];
            value = factors ? value * factors[place] : value;
            values[k] = shifts ? value + shifts[place] : value;
            within++;
            if (within == spans.inner) {
                within = 0;
                place = place + 1 == spans.dim ? 0 : place + 1;
            }
        }
        if (by_four && there == 4) {
            float4 u;
            u.x = values[0], u.y = values[1], u.z = values[2], u.w = values[3];
            ((float4 *)y)[four] = u;
        } else {
            for (u32 k = 0; k < there; k++) {
                y[begin + k] = values[k];
            }
        }
    }
}

/* Sums of a, and of a·b when there is a b, over the values `begin..end` of those that belong to the vector's value `place`,
   counted over all its runs. */
DEVICE void sums_of_part(const float *a, const float *b, Spans spans, u32 place, u32 begin, u32 end, float *sums) {
    float plain = 0.0f, products = 0.0f;
    if (spans.inner % 4 == 0 && begin % 4 == 0 && end % 4 == 0 && ALIGNED(a) && ALIGNED(b)) {
        u32 inner = spans.inner / 4;
        for (u32 four = begin / 4 + threadIdx.x; four < end / 4; four += blockDim.x) {
            u32 outer = four / inner;
            u32 at = (outer * spans.dim + place) * inner + four - outer * inner;
            float4 u = ((const float4 *)a)[at];
            plain += (u.x + u.y) + (u.z + u.w);
            if (b) {
                float4 v = ((const float4 *)b)[at];
                products += (u.x * v.x + u.y * v.y) + (u.z * v.z + u.w * v.w);
            }
        }
    } else {
        for (u32 value = begin + threadIdx.x; value < end; value += blockDim.x) {
            u32 outer = value / spans.inner;
            u32 at = (outer * spans.dim + place) * spans.inner + value - outer * spans.inner;
            plain += a[at];
            products += b ? a[at] * b[at] : 0.0f;
        }
    }
    sums[0] = block_sum(plain);
    sums[1] = b ? block_sum(products) : 0.0f;
}

/* One block for each value of the vector and each of its parts, whose sums go to `parts` (plain, then products) when there
   are several, else to the results. */
KERNEL sums(
    float *plain, float *products, float *partial, const float *a, const float *b, Spans spans, u32 parts, u32 length) {
    EXPECT(gridDim.x == spans.dim * parts);
    u32 place = blockIdx.x / parts, part = blockIdx.x - place * parts;
    u32 count = spans.outer * spans.inner;
    u32 begin = part * length;
    u32 end = count - begin < length ? count : begin + length;
    float sums[2];
    sums_of_part(a, b, spans, place, begin, end, sums);
    if (threadIdx.x == 0) {
        if (parts == 1) {
            plain[place] = sums[0];
            products[place] = sums[1];
        } else {
            partial[blockIdx.x] = sums[0];
            partial[gridDim.x + blockIdx.x] = sums[1];
        }
    }
}

/* The sums over the parts: one block for each value of the vector. */
KERNEL sums_of_parts(float *plain, float *products, const float *partial, u32 dim, u32 parts) {
    EXPECT(gridDim.x == dim);
    float sum = 0.0f, product = 0.0f;
    for (u32 part = threadIdx.x; part < parts; part += blockDim.x) {
        sum += partial[blockIdx.x * parts + part];
        product += partial[(dim + blockIdx.x) * parts + part];
    }
    sum = block_sum(sum);
    product = block_sum(product);
    if (threadIdx.x == 0) {
        plain[blockIdx.x] = sum;
        products[blockIdx.x] = product;
    }
}

/* Rows of the vector's length (inner 1): each block sums 32 neighbouring values of the vector over `length` rows with all its
   warps, each warp over rows of its own. */
KERNEL sums_of_rows(
    float *plain, float *products, float *partial, const float *a, const float *b, Spans spans, u32 parts, u32 length) {
    SHARED float shared[2][8][32];
    EXPECT(blockDim.x == 256 && gridDim.x == divide_up(spans.dim, 32) * parts);
    u32 group = blockIdx.x / parts, part = blockIdx.x - group * parts;
    u32 lane = threadIdx.x % 32, warp = threadIdx.x / 32, place = group * 32 + lane;
    u32 begin = part * length;
    u32 end = begin + length < spans.outer ? begin + length : spans.outer;
    float sum = 0.0f, product = 0.0f;
    if (place < spans.dim) {
        for (u32 row = begin + warp; row < end; row += 8) {
            float value = a[row * spans.dim + place];
            sum += value;
            product += b ? value * b[row * spans.dim + place] : 0.0f;
        }
    }
    shared[0][warp][lane] = sum;
    shared[1][warp][lane] = product;
    __syncthreads();
    if (warp == 0 && place < spans.dim) {
        for (u32 other = 1; other < 8; other++) {
            sum += shared[0][other][lane];
            product += shared[1][other][lane];
        }
        float *sums = parts == 1 ? plain + place : partial + place * parts + part;
        float *product_sums = parts == 1 ? products + place : partial + (spans.dim + place) * parts + part;
        *sums = sum;
        *product_sums = product;
    }
}
