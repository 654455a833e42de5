/* Divisions by numbers that the host knows, without dividing. */

typedef struct {
    u32 divisor, factor, shift;
} Division;

/* value / divisor, for values below 2³¹. */
DEVICE u32 quotient(u32 value, Division by) {
    return (__umulhi(value, by.factor) + value) >> by.shift;
}
