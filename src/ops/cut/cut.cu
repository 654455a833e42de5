/* Batches made of bytes that lie on the card: cut, turned around, less the mean, scaled, as on the host (`data/transform.rs`). */

#define NO_MEAN 0
#define ONE_MEAN 1
#define CHANNEL_MEANS 2
#define IMAGE_MEAN 3

typedef struct {
    /* Bytes from one record to the next; a record's extents; those of an image. */
    u32 stride, channels, height, width, out_height, out_width;
    u32 means;
    float scale;
} Cutting;

/* For each image five numbers: the record, the first row, the first column, whether it is turned around, the label's bits. */
KERNEL cut(float *images, float *labels, const u8 *records, const u32 *cuts, const float *mean, u32 count, u32 items, Cutting sizes) {
    EACH(index, count) {
        u32 x = index % sizes.out_width, y = index / sizes.out_width % sizes.out_height;
        u32 plane = index / sizes.out_width / sizes.out_height, channel = plane % sizes.channels;
        const u32 *how = cuts + 5 * (plane / sizes.channels);
        u32 column = how[2] + (how[3] ? sizes.out_width - 1 - x : x), row = how[1] + y;
        u32 place = (channel * sizes.height + row) * sizes.width + column;
        float value = (float)records[(unsigned long long)how[0] * sizes.stride + place];
        if (sizes.means != NO_MEAN) value -= mean[sizes.means == ONE_MEAN ? 0 : sizes.means == CHANNEL_MEANS ? channel : place];
        images[index] = value * sizes.scale;
        if (labels && index < items) labels[index] = __uint_as_float(cuts[5 * index + 4]);
    }
}
