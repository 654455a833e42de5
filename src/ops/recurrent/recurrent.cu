/* Steps of recurrent nets. The functions are those of activation.cu, with the system's exp and tanh. */

DEVICE float sigmoid(float x) {
    return 1.0f / (1.0f + expf(-x));
}

/* The forget gate; a new sequence forgets, whatever the gate's value. */
DEVICE float forget(float continues, float x) {
    return continues == 0.0f ? 0.0f : continues * sigmoid(x);
}

/* A thread for each cell of each stream. A stream's gates: input, forget, output, candidate, `size` values each. */
KERNEL lstm_forward(
    float *cell, float *hidden, const float *previous, const float *gates, const float *continues, u32 streams, u32 size) {
    EACH(index, streams * size) {
        u32 stream = index / size, at = 4 * stream * size + index - stream * size;
        float kept = forget(continues[stream], gates[at + size]) * previous[index];
        float value = kept + sigmoid(gates[at]) * tanhf(gates[at + 3 * size]);
        cell[index] = value;
        hidden[index] = sigmoid(gates[at + 2 * size]) * tanhf(value);
    }
}

KERNEL lstm_backward(
    float *previous_diff, float *gates_diff, const float *previous, const float *gates, const float *continues,
    const float *cell, const float *cell_diff, const float *hidden_diff, u32 streams, u32 size) {
    EACH(index, streams * size) {
        u32 stream = index / size, at = 4 * stream * size + index - stream * size;
        float i = sigmoid(gates[at]), f = forget(continues[stream], gates[at + size]);
        float o = sigmoid(gates[at + 2 * size]), g = tanhf(gates[at + 3 * size]);
        float squashed = tanhf(cell[index]);
        float d = cell_diff[index] + hidden_diff[index] * o * (1.0f - squashed * squashed);
        previous_diff[index] = d * f;
        gates_diff[at] = d * g * i * (1.0f - i);
        gates_diff[at + size] = d * previous[index] * f * (1.0f - f);
        gates_diff[at + 2 * size] = hidden_diff[index] * squashed * o * (1.0f - o);
        gates_diff[at + 3 * size] = d * i * (1.0f - g * g);
    }
}

/* y = x, each row times its factor. */
KERNEL scale_rows(float *y, const float *x, const float *factors, u32 rows, u32 size) {
    EACH(index, rows * size) {
        y[index] = x[index] * factors[index / size];
    }
}
