/* The threads of a block as fibers: each runs until its next barrier or shuffle, then the next one's turn is. The emulated card puts
 * this behind the kernels' text.
 *
 * A barrier opens when all threads of the block wait at it, a shuffle when all lanes of the warp do. Anything else (some threads
 * ended, some at another line) hangs a real card or is undefined there: here it is a fault. */

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

enum { EMULATED_MOST_THREADS = 1024, EMULATED_STACK = 256 * 1024, EMULATED_GUARD = 64 * 1024 };
enum emulated_state { EMULATED_READY, EMULATED_AT_BARRIER, EMULATED_AT_EXCHANGE, EMULATED_DONE };

struct emulated_fiber {
    void *stack;
    enum emulated_state state;
    int line;
    unsigned bits;
};

struct emulated_place emulated_place;
static struct emulated_fiber emulated_fibers[EMULATED_MOST_THREADS];
static unsigned emulated_released[EMULATED_MOST_THREADS];
static unsigned emulated_current;
static void *emulated_scheduler_stack;
/* Shared by all modules: the card's side keeps what the first one makes. */
__attribute__((visibility("protected"))) char *emulated_stacks;
static void (*emulated_body)(void **);
static void **emulated_arguments;

/* Where faults go: the card's side, set when the module is loaded. */
__attribute__((visibility("protected"))) void (*emulated_report)(const char *what, int line);

_Noreturn void emulated_fault(const char *what, int line) {
    if (emulated_report) emulated_report(what, line);
    abort();
}

/* Puts the present stack pointer, behind all registers that a call keeps, at `save` and goes on at `to`. */
void emulated_switch(void **save, void *to) __attribute__((visibility("hidden")));
#if defined(__x86_64__)
__asm__(".text\n.hidden emulated_switch\n.globl emulated_switch\n.type emulated_switch,@function\nemulated_switch:\n"
        "pushq %rbp\npushq %rbx\npushq %r12\npushq %r13\npushq %r14\npushq %r15\n"
        "movq %rsp, (%rdi)\nmovq %rsi, %rsp\n"
        "popq %r15\npopq %r14\npopq %r13\npopq %r12\npopq %rbx\npopq %rbp\nret\n"
        ".size emulated_switch, .-emulated_switch\n");
enum { EMULATED_SAVED = 6, EMULATED_RETURN = 6, EMULATED_FRAME = 8 };
#elif defined(__aarch64__)
__asm__(".text\n.hidden emulated_switch\n.globl emulated_switch\n.type emulated_switch,@function\nemulated_switch:\n"
        "sub sp, sp, #160\n"
        "stp x19, x20, [sp, #0]\nstp x21, x22, [sp, #16]\nstp x23, x24, [sp, #32]\nstp x25, x26, [sp, #48]\n"
        "stp x27, x28, [sp, #64]\nstp x29, x30, [sp, #80]\nstp d8, d9, [sp, #96]\nstp d10, d11, [sp, #112]\n"
        "stp d12, d13, [sp, #128]\nstp d14, d15, [sp, #144]\n"
        "mov x9, sp\nstr x9, [x0]\nmov sp, x1\n"
        "ldp x19, x20, [sp, #0]\nldp x21, x22, [sp, #16]\nldp x23, x24, [sp, #32]\nldp x25, x26, [sp, #48]\n"
        "ldp x27, x28, [sp, #64]\nldp x29, x30, [sp, #80]\nldp d8, d9, [sp, #96]\nldp d10, d11, [sp, #112]\n"
        "ldp d12, d13, [sp, #128]\nldp d14, d15, [sp, #144]\nadd sp, sp, #160\nret\n"
        ".size emulated_switch, .-emulated_switch\n");
enum { EMULATED_RETURN = 11, EMULATED_FRAME = 20 };
#else
#error "the emulated card runs on x86-64 and 64-bit Arm"
#endif

static void emulated_wait(enum emulated_state state, int line) {
    struct emulated_fiber *fiber = &emulated_fibers[emulated_current];
    fiber->state = state;
    fiber->line = line;
    emulated_switch(&fiber->stack, emulated_scheduler_stack);
}

__attribute__((noinline)) void emulated_barrier(int line) { emulated_wait(EMULATED_AT_BARRIER, line); }

__attribute__((noinline)) const unsigned *emulated_exchange(int line, unsigned mask, unsigned bits) {
    if (mask != 0xffffffffu) emulated_fault("a shuffle or vote of a part of a warp", line);
    emulated_fibers[emulated_current].bits = bits;
    emulated_wait(EMULATED_AT_EXCHANGE, line);
    return &emulated_released[emulated_current & ~31u];
}

static void emulated_start(void) {
    emulated_body(emulated_arguments);
    emulated_wait(EMULATED_DONE, 0);
}

/* Gives a fiber a fresh stack whose first return leads to `emulated_start`. */
static void emulated_prepare(unsigned index) {
    char *end = emulated_stacks + (size_t)(index + 1) * (EMULATED_STACK + EMULATED_GUARD);
    void **frame = (void **)end - 2 - EMULATED_FRAME;
    memset(frame, 0, sizeof(void *) * (EMULATED_FRAME + 2));
    frame[EMULATED_RETURN] = (void *)emulated_start;
    emulated_fibers[index] = (struct emulated_fiber){.stack = frame, .state = EMULATED_READY};
}

static void emulated_place_thread(unsigned index) {
    threadIdx.x = index % blockDim.x;
    threadIdx.y = index / blockDim.x % blockDim.y;
    threadIdx.z = index / blockDim.x / blockDim.y;
}

static void emulated_resume(unsigned index) {
    emulated_current = index;
    emulated_place_thread(index);
    emulated_switch(&emulated_scheduler_stack, emulated_fibers[index].stack);
}

/* The first of `count` fibers that is not as the first one is, or `count`. */
static unsigned emulated_odd_one(unsigned first, unsigned count) {
    unsigned index = 1;
    while (index < count && emulated_fibers[first + index].state == emulated_fibers[first].state &&
           emulated_fibers[first + index].line == emulated_fibers[first].line)
        index++;
    return index;
}

static void emulated_not_together(unsigned first, unsigned odd) {
    static const char *states[] = {"runs", "waits at a barrier", "waits at a shuffle or vote", "has ended"};
    char text[200];
    struct emulated_fiber a = emulated_fibers[first], b = emulated_fibers[first + odd];
    snprintf(text, sizeof text, "threads that do not meet: thread %u %s (line %d), thread %u %s (line %d)", first, states[a.state], a.line,
             first + odd, states[b.state], b.line);
    emulated_place_thread(first);
    emulated_fault(text, a.line);
}

/* Runs the lanes of a warp until all wait at a barrier or have ended. */
static void emulated_run_warp(unsigned first, unsigned lanes, bool reversed) {
    for (;;) {
        for (unsigned turn = 0; turn < lanes; turn++) {
            unsigned index = first + (reversed ? lanes - 1 - turn : turn);
            if (emulated_fibers[index].state == EMULATED_READY) emulated_resume(index);
        }
        unsigned exchanging = 0;
        for (unsigned lane = 0; lane < lanes; lane++) exchanging += emulated_fibers[first + lane].state == EMULATED_AT_EXCHANGE;
        if (exchanging == 0) return;
        if (exchanging < 32 || emulated_odd_one(first, lanes) < lanes) {
            unsigned odd = emulated_odd_one(first, lanes);
            if (odd == lanes) emulated_fault("a shuffle or vote in a warp of fewer than 32 threads", emulated_fibers[first].line);
            emulated_not_together(first, odd);
        }
        for (unsigned lane = 0; lane < 32; lane++) {
            emulated_released[first + lane] = emulated_fibers[first + lane].bits;
            emulated_fibers[first + lane].state = EMULATED_READY;
        }
    }
}

extern char __start_emulated_shared[] __attribute__((weak, visibility("hidden")));
extern char __stop_emulated_shared[] __attribute__((weak, visibility("hidden")));

static void emulated_run_block(unsigned threads, bool reversed) {
    if (__start_emulated_shared) memset(__start_emulated_shared, 0xff, (size_t)(__stop_emulated_shared - __start_emulated_shared));
    for (unsigned index = 0; index < threads; index++) emulated_prepare(index);
    for (;;) {
        unsigned warps = (threads + 31) / 32;
        for (unsigned turn = 0; turn < warps; turn++) {
            unsigned first = 32 * (reversed ? warps - 1 - turn : turn);
            emulated_run_warp(first, threads - first < 32 ? threads - first : 32, reversed);
        }
        unsigned odd = emulated_odd_one(0, threads);
        if (odd < threads) emulated_not_together(0, odd);
        if (emulated_fibers[0].state == EMULATED_DONE) return;
        for (unsigned index = 0; index < threads; index++) emulated_fibers[index].state = EMULATED_READY;
    }
}

__attribute__((visibility("protected"))) char *emulated_make_stacks(void) {
    size_t each = EMULATED_STACK + EMULATED_GUARD, all = each * EMULATED_MOST_THREADS;
    char *stacks = mmap(NULL, all, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (stacks == MAP_FAILED) return NULL;
    for (unsigned index = 0; index < EMULATED_MOST_THREADS; index++) mprotect(stacks + index * each, EMULATED_GUARD, PROT_NONE);
    return stacks;
}

/* Runs a kernel on a whole grid. `body` runs one thread of a kernel whose threads meet; `block` all threads of one whose threads do not,
 * one after another. */
__attribute__((visibility("protected"))) void emulated_run(void (*body)(void **), void (*block)(void **, bool), void **arguments,
                                                         const unsigned *blocks, const unsigned *threads, bool reversed) {
    gridDim = (uint3){blocks[0], blocks[1], blocks[2]};
    blockDim = (uint3){threads[0], threads[1], threads[2]};
    emulated_body = body;
    emulated_arguments = arguments;
    unsigned long long all = (unsigned long long)blocks[0] * blocks[1] * blocks[2];
    for (unsigned long long turn = 0; turn < all; turn++) {
        unsigned long long index = reversed ? all - 1 - turn : turn;
        blockIdx = (uint3){(unsigned)(index % blocks[0]), (unsigned)(index / blocks[0] % blocks[1]),
                           (unsigned)(index / blocks[0] / blocks[1])};
        if (body) emulated_run_block(threads[0] * threads[1] * threads[2], reversed);
        else block(arguments, reversed);
    }
}
