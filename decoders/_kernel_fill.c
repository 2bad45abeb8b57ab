/* From ordered rows to samples: per group and tile of rows, words are gathered once and every signal
 * is one loop over them. Doubles are computed exactly as in decoders/numbers.py, so this file must
 * be built with -ffp-contract=off.
 */
#include <math.h>

#include "_kernel.h"

#if defined(__x86_64__) && defined(__GLIBC__)
#define CLONES __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#define CLONES
#endif

static double half(uint64_t raw)
{
    uint64_t sign = (raw & 0x8000) << 48, exponent = raw >> 10 & 31, fraction = raw & 1023;
    if (exponent == 31)
        return as_double(sign | 0x7FF0000000000000u | fraction << 42);
    if (exponent)
        return as_double(sign | (exponent + 1008) << 52 | fraction << 42);
    return sign ? -ldexp((double)fraction, -24) : ldexp((double)fraction, -24);
}

/* The scaling of integers of at most 52 bits; whether any raw value is not good. */
CLONES static int linear(const Signal *s, const uint64_t *bits, int32_t n, double *value)
{
    const uint64_t mask = s->mask, sign = s->sign, low = s->lowest + sign, high = low + s->span;
    const double bias = 0x1p52 + (double)sign, scale = s->scale, offset = s->offset;
    const int shift = s->shift;
    int64_t bad = 0;
    for (int32_t i = 0; i < n; i++) {
        uint64_t raw = (bits[i] >> shift & mask) ^ sign; /* from 0 on, signed too */
        bad |= (int64_t)(raw - low) | (int64_t)(high - raw);
        value[i] = (as_double(raw | 0x4330000000000000u) - bias) * scale + offset;
    }
    return bad < 0;
}

static inline uint64_t raw_of(const Signal *s, const uint64_t *bits, const uint64_t *after, int i)
{
    uint64_t raw = joined(bits[i], s->carry ? after[i] : 0, s->shift, s->carry) & s->mask;
    return (raw ^ s->sign) - s->sign;
}

static double exact(const Signal *s, uint64_t raw)
{
    __int128 number = s->sign ? (__int128)(int64_t)raw : (__int128)raw;
    number *= (int64_t)s->scale;
    if (s->offset == floor(s->offset))
        return (double)(number + (int64_t)s->offset);
    return (double)number + s->offset;
}

static double number(const Signal *s, uint64_t raw)
{
    float single;
    uint32_t low = (uint32_t)raw;
    switch (s->kind) {
    case INTEGER:
        return (double)(int64_t)raw;
    case FLOAT16:
        return half(raw);
    case FLOAT32:
        memcpy(&single, &low, 4);
        return single;
    case FLOAT64:
        return as_double(raw);
    default:
        return (double)raw;
    }
}

/* Any signal; whether any raw value is not good. Quality of floats is set here. */
static int general(const Signal *s, const uint64_t *bits, const uint64_t *after, int32_t n,
                   double *value, uint8_t *quality)
{
    int bad = 0, identity = s->scale == 1 && s->offset == 0; /* which keeps -0.0 */
    int is_float = s->kind >= FLOAT16 && s->kind <= FLOAT64;
    for (int32_t i = 0; i < n; i++) {
        uint64_t raw = raw_of(s, bits, after, i);
        bad |= raw - s->lowest > s->span;
        if (s->kind == EXACT) {
            value[i] = exact(s, raw);
            continue;
        }
        double plain = number(s, raw);
        value[i] = identity ? plain : plain * s->scale + s->offset;
        if (is_float && !isfinite(value[i]))
            quality[i] = INVALID;
        else if (is_float && (value[i] < s->minimum || value[i] > s->maximum))
            quality[i] = OUT_OF_RANGE;
    }
    return bad;
}

/* Quality of raw values that are not good; patterns keep the raw number as value. */
static void mark(const Signal *s, const uint64_t *bits, const uint64_t *after, int32_t n,
                 double *value, uint8_t *quality)
{
    for (int32_t i = 0; i < n; i++) {
        uint64_t raw = raw_of(s, bits, after, i);
        if (raw - s->lowest <= s->span)
            continue;
        quality[i] = OUT_OF_RANGE;
        if (s->error_from && raw >= s->error_from) {
            quality[i] = raw >= s->absent_from ? INVALID : ABNORMAL;
            value[i] = (double)raw;
        }
    }
}

/* Scaling, unit and marks in one pass, for unsigned signals below 2^30: J1939's patterns are in most
 * frames, and compilers vectorise this. */
CLONES static void patterned(const Signal *s, const uint64_t *bits, int32_t n, double *value,
                             uint8_t *quality)
{
    const int64_t none = INT64_MAX, low = (int64_t)s->lowest, high = low + (int64_t)s->span;
    const int64_t error = s->error_from ? (int64_t)s->error_from : none;
    const int64_t absent = s->error_from ? (int64_t)s->absent_from : none;
    const double scale = s->scale, offset = s->offset, factor = s->unit_factor, plus = s->unit_offset;
    const int shift = s->shift, same_unit = factor == 1 && plus == 0;
    const uint64_t mask = s->mask;
    int64_t found[TILE];
    for (int32_t i = 0; i < n; i++) {
        int64_t raw = (int64_t)(bits[i] >> shift & mask);
        double plain = as_double((uint64_t)raw | 0x4330000000000000u) - 0x1p52;
        double scaled = plain * scale + offset;
        scaled = same_unit ? scaled : scaled * factor + plus;
        int64_t outside = raw < low || raw > high ? OUT_OF_RANGE : GOOD;
        int64_t pattern = raw >= absent ? INVALID : ABNORMAL;
        int64_t special = outside && raw >= error;
        value[i] = special ? plain : scaled;
        found[i] = special ? pattern : outside;
    }
    for (int32_t i = 0; i < n; i++)
        quality[i] = (uint8_t)found[i];
}

static void decode(Work *w, const Signal *s, const uint64_t *bits, const uint64_t *after,
                   const int64_t *ns, const int32_t *rows, int32_t n)
{
    int64_t at = w->place[s - (const Signal *)w->plan->table[SIGNALS]];
    double *value = w->out_value + at;
    uint8_t *quality = w->out_quality + at;
    int plain = s->kind == INTEGER && !s->carry && s->mask < (uint64_t)1 << 52;
    int narrow = plain && !s->sign && s->mask < (uint64_t)1 << 30;
    int bad = narrow && s->error_from; /* where there are patterns, look for them at once */
    if (!bad) {
        bad = plain ? linear(s, bits, n, value) : general(s, bits, after, n, value, quality);
        if (s->unit_factor != 1 || s->unit_offset != 0)
            for (int32_t i = 0; i < n; i++)
                value[i] = value[i] * s->unit_factor + s->unit_offset;
    }
    if (bad && narrow)
        patterned(s, bits, n, value, quality);
    else if (bad)
        mark(s, bits, after, n, value, quality);
    memcpy(w->out_ns + at, ns, (size_t)n * sizeof *ns);
    if (w->out_row)
        memcpy(w->out_row + at, rows, (size_t)n * sizeof *rows);
    for (int32_t i = 0; s->keep_raw && i < n; i++)
        w->out_raw[at + i] = raw_of(s, bits, after, i);
    w->place[s - (const Signal *)w->plan->table[SIGNALS]] += n;
}

static void gather(const Work *w, const int32_t *rows, int32_t n, int32_t word, uint64_t *bits)
{
    size_t inside = 8 * (size_t)(word >> 1);
    if (w->n == w->n8) /* classic frames only, which are one word */
        for (int32_t i = 0; i < n; i++)
            memcpy(&bits[i], w->payload8 + 8 * (size_t)rows[i], 8);
    else
        for (int32_t i = 0; i < n; i++)
            memcpy(&bits[i], payload(w, rows[i]) + inside, 8);
    for (int32_t i = 0; word & 1 && i < n; i++)
        bits[i] = __builtin_bswap64(bits[i]);
}

/* One signal where some frames are too short for it. */
static void decode_held(Work *w, const Signal *s, const int32_t *rows, int32_t n)
{
    uint64_t bits[TILE], after[TILE];
    int64_t ns[TILE];
    int32_t held[TILE], count = 0;
    for (int32_t i = 0; i < n; i++) {
        held[count] = rows[i];
        count += w->kept[rows[i]] >= s->need;
    }
    if (!count)
        return;
    for (int32_t i = 0; i < count; i++)
        ns[i] = w->observed_ns[held[i]];
    gather(w, held, count, s->word, bits);
    if (s->carry)
        gather(w, held, count, s->word + 2, after);
    decode(w, s, bits, after, ns, held, count);
}

/* A group of few rows, frame by frame: no tiles to set up. The columns are local because a byte
 * written may be anything of `w`, which would then be read again for every sample. */
static void fill_few(Work *w, const Batch *batch, const Group *group)
{
    const Signal *signals = w->plan->table[SIGNALS], *end = signals + group->signal_last;
    int64_t *const out_ns = w->out_ns, *place = w->place + group->signal_first;
    double *const out_value = w->out_value;
    uint8_t *const out_quality = w->out_quality;
    int32_t *const out_row = w->out_row;
    uint64_t *const out_raw = w->out_raw;
    signals += group->signal_first;
    for (int32_t i = 0; i < batch->count; i++) {
        const int32_t row = w->rows[batch->start + i], length = w->kept[row];
        const uint8_t *at = payload(w, row);
        const int64_t ns = w->observed_ns[row];
        int64_t *next = place;
        for (const Signal *s = signals; s < end; s++, next++) {
            if (s->need > length)
                continue;
            uint64_t bits = load(at, s->word), after = s->carry ? load(at, s->word + 2) : 0;
            int64_t to = (*next)++;
            uint64_t raw = raw_of(s, &bits, &after, 0);
            out_ns[to] = ns;
            if (s->kind == INTEGER)
                out_value[to] = (double)(int64_t)raw * s->scale + s->offset;
            else
                general(s, &bits, &after, 1, out_value + to, out_quality + to);
            if (s->unit_factor != 1 || s->unit_offset != 0)
                out_value[to] = out_value[to] * s->unit_factor + s->unit_offset;
            if (raw - s->lowest > s->span)
                mark(s, &bits, &after, 1, out_value + to, out_quality + to);
            if (out_row)
                out_row[to] = row;
            if (s->keep_raw)
                out_raw[to] = raw;
        }
    }
}

static void fill_group(Work *w, int32_t g)
{
    uint64_t bits[WORDS][TILE];
    int64_t ns[TILE];
    const Group *group = (const Group *)w->plan->table[GROUPS] + g;
    const Signal *signals = w->plan->table[SIGNALS];
    const Batch *batch = &w->group[g];
    if (batch->count <= FEW) {
        fill_few(w, batch, group);
        return;
    }
    for (int32_t first = 0; first < batch->count; first += TILE) {
        const int32_t *rows = w->rows + batch->start + first;
        int32_t n = batch->count - first < TILE ? batch->count - first : TILE, have = 0;
        for (int32_t i = 0; i < n; i++)
            ns[i] = w->observed_ns[rows[i]];
        for (int32_t k = group->signal_first; k < group->signal_last; k++) {
            const Signal *s = &signals[k];
            if (s->need > batch->min_length) {
                decode_held(w, s, rows, n);
                continue;
            }
            for (int32_t word = s->word; word <= s->word + (s->carry ? 2 : 0); word += 2)
                if (!(have >> word & 1)) {
                    gather(w, rows, n, word, bits[word]);
                    have |= 1 << word;
                }
            decode(w, s, bits[s->word], s->carry ? bits[s->word + 2] : NULL, ns, rows, n);
        }
    }
}

static void put_in_order(Work *w, const Merge *merge, void *column, size_t item, void *scratch)
{
    char *to = (char *)column + merge->start * item;
    memcpy(scratch, to, merge->count * item);
    for (int32_t i = 0; i < merge->count; i++)
        memcpy(to + i * item, (char *)scratch + w->merged[merge->first + i].from * item, item);
}

static void merge(Work *w)
{
    for (int32_t k = 0; k < w->merge_count; k++) {
        const Merge *one = &w->merges[k];
        void *scratch = malloc((size_t)one->count * 8 + 1);
        if (!scratch) {
            w->failed = 1;
            return;
        }
        put_in_order(w, one, w->out_ns, 8, scratch);
        put_in_order(w, one, w->out_value, 8, scratch);
        put_in_order(w, one, w->out_quality, 1, scratch);
        if (w->out_row)
            put_in_order(w, one, w->out_row, 4, scratch);
        if (w->out_raw)
            put_in_order(w, one, w->out_raw, 8, scratch);
        free(scratch);
    }
}

void kernel_fill(Work *w)
{
    for (int32_t k = 0; k < w->active_count; k++)
        fill_group(w, w->active[k]);
    merge(w);
}
