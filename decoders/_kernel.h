/* What the parts of the compiled kernel share: rows of a plan, and one call's work. */
#ifndef ROADCALL_KERNEL_H
#define ROADCALL_KERNEL_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { OK, UNKNOWN_ID, SHORT, BAD_MULTIPLEXER, NO_PAYLOAD, WRONG_LENGTH };
enum { GOOD, ABNORMAL, INVALID, OUT_OF_RANGE };
enum { INTEGER, UNSIGNED64, FLOAT16, FLOAT32, FLOAT64, EXACT };
enum { TILE = 256, FEW = 6, CACHE_BITS = 10, CACHE = 1 << CACHE_BITS, PROBES = 4, WORDS = 16 };
enum { NO_SOURCE = 0xFFFF, NOWHERE = 0 }; /* NOWHERE: the segment of frames without a message */

/* Rows of the plan, as decoders/kernel_compiled.py lays them out. */
typedef struct {
    uint64_t mask, sign, lowest, span, error_from, absent_from;
    double scale, offset, unit_factor, unit_offset, minimum, maximum;
    int32_t word, need, group, name;
    int32_t carry, shift, kind, keep_raw;
} Signal;
typedef struct { uint64_t mask; int32_t word, need, carry, shift, first, last; } Selector;
typedef struct { uint64_t low, high; int32_t first, last; } Interval;
typedef struct {
    int32_t signal_first, signal_last, selector_first, selector_last;
    int32_t need, promised, length, padded, iso_tp, unused;
} Group;
typedef struct { uint32_t mask; int32_t first, last; } Level;
typedef struct { int32_t signal, name, group, need; } Named;
typedef struct { uint32_t key; int32_t message; uint32_t ignored; } Key;

enum { SIGNALS, SELECTORS, INTERVALS, TARGETS, GROUPS, STANDARD, LEVELS, KEYS, BY_NAME, TABLES };
typedef struct {
    void *table[TABLES];
    int32_t rows[TABLES];
} Plan;

typedef struct { /* all frames of one group from one source */
    int32_t group, next, count, start;
    int32_t min_length;
    uint16_t source;
} Segment;
typedef struct { int32_t segment, row; } Entry;
typedef struct { uint64_t key; int32_t from, signal; } Merged;
typedef struct { /* an identifier seen before; frames of `usual` .. usual + span bytes are plain */
    uint32_t id;
    int32_t segment;
    uint8_t status, usual, span;
} Known;
typedef struct { int64_t start; int32_t count, first; } Merge;
typedef struct { int32_t head, segments, start, count, min_length; } Batch;

typedef struct {
    const Plan *plan;
    int32_t n, n8;
    const uint32_t *can_id;
    const uint8_t *length, *payload8, *payload64;
    const int64_t *observed_ns;
    uint8_t *status, *kept; /* kept: payload bytes of each row that count */
    Batch *group;           /* per plan group: its segments, by source */
    int32_t *active, active_count, *rows, *root; /* root: each row's own segment */
    Segment *segments;
    Entry *entries;
    Merged *merged;
    Merge *merges;
    int32_t segment_count, segment_room, entry_count, entry_room;
    int32_t merged_count, merged_room, merge_count, merge_room;
    int64_t *place; /* per plan signal: its first sample */
    int64_t samples;
    int32_t runs, failed;
    uint16_t *run_signal;
    int16_t *run_source;
    int64_t *run_start;
    int32_t *run_head, run_room;
    /* output */
    int64_t *out_ns;
    double *out_value;
    uint64_t *out_raw;
    int32_t *out_row;
    uint8_t *out_quality;
} Work;

/* _kernel_order.c: frames to segments, rows in order, runs counted. _kernel_fill.c: the samples. */
void kernel_count(Work *w);
void kernel_fill(Work *w);

/* Room for one more; 0 and `failed` when memory is gone. */
static inline int room(Work *w, void **array, int32_t count, int32_t *space, size_t item)
{
    if (count < *space)
        return 1;
    int32_t wanted = *space ? *space * 2 : 256;
    void *grown = realloc(*array, (size_t)wanted * item);
    if (!grown) {
        w->failed = 1;
        return 0;
    }
    *array = grown;
    *space = wanted;
    return 1;
}
#define ROOM(w, array, count, space) \
    room(w, (void **)&(w)->array, (w)->count, &(w)->space, sizeof *(w)->array)

static inline uint64_t load(const uint8_t *at, int32_t word)
{
    uint64_t bits;
    memcpy(&bits, at + 8 * (word >> 1), 8);
    return word & 1 ? __builtin_bswap64(bits) : bits;
}

/* Raw bits from a word and the one after it; `carry` bits of the latter, < 0 big-endian. */
static inline uint64_t joined(uint64_t bits, uint64_t after, int32_t shift, int32_t carry)
{
    bits >>= shift;
    if (carry > 0)
        bits |= after << carry;
    else if (carry < 0)
        bits = bits << -carry | after >> (64 + carry);
    return bits;
}

static inline double as_double(uint64_t bits)
{
    double number;
    memcpy(&number, &bits, 8);
    return number;
}

static inline const uint8_t *payload(const Work *w, int32_t row)
{
    return row < w->n8 ? w->payload8 + 8 * (size_t)row
                       : w->payload64 + 64 * (size_t)(row - w->n8);
}

#endif
