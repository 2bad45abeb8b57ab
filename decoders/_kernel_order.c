/* From frames to ordered rows: which segments (group, source) a frame feeds, and its status; then
 * rows by (group, source) and the output runs by (name, source), counted and placed.
 */
#include "_kernel.h"

static int32_t find_segment(Work *w, int32_t g, uint16_t source)
{
    int32_t at = w->group[g].head, before = -1;
    while (at >= 0 && w->segments[at].source < source) {
        before = at;
        at = w->segments[at].next;
    }
    if (at >= 0 && w->segments[at].source == source)
        return at;
    if (!ROOM(w, segments, segment_count, segment_room))
        return -1;
    int32_t fresh = w->segment_count++;
    w->segments[fresh] = (Segment){.group = g, .next = at, .min_length = 255, .source = source};
    if (before >= 0)
        w->segments[before].next = fresh;
    else
        w->group[g].head = fresh;
    if (!w->group[g].segments++)
        w->active[w->active_count++] = g;
    return fresh;
}

static int by_key(const void *wanted, const void *row)
{
    uint32_t a = *(const uint32_t *)wanted, b = ((const Key *)row)->key;
    return (a > b) - (a < b);
}

/* The message of an identifier and what is source in it; NULL where the plan has none. */
static const Key *find_message(const Work *w, uint32_t can_id)
{
    uint32_t plain = can_id & 0x1FFFFFFF;
    const Key *key = NULL;
    if (can_id >> 31) {
        const Level *levels = w->plan->table[LEVELS];
        for (int32_t k = 0; !key && k < w->plan->rows[LEVELS]; k++) {
            uint32_t wanted = plain & levels[k].mask;
            const Key *keys = (const Key *)w->plan->table[KEYS] + levels[k].first;
            key = bsearch(&wanted, keys, levels[k].last - levels[k].first, sizeof *keys, by_key);
        }
    } else if (plain < (uint32_t)w->plan->rows[STANDARD]) {
        key = (const Key *)w->plan->table[STANDARD] + plain;
    }
    return key && key->message >= 0 ? key : NULL;
}

static Known learn(Work *w, uint32_t id)
{
    const Key *key = id & 0x60000000 ? NULL : find_message(w, id);
    if (!key)
        return (Known){id, NOWHERE, id & 0x60000000 ? NO_PAYLOAD : UNKNOWN_ID, 0, 255};
    const Group *group = (const Group *)w->plan->table[GROUPS] + key->message;
    uint32_t source = key->ignored ? id & 0x1FFFFFFF & key->ignored : NO_SOURCE;
    Known known = {id, find_segment(w, key->message, (uint16_t)source), OK, 255, 0};
    int simple = group->selector_first == group->selector_last && !group->iso_tp;
    if (simple && group->length >= group->need)
        known.usual = (uint8_t)group->length;
    else if (simple && !group->length && group->need <= 64) {
        known.usual = (uint8_t)group->need;
        known.span = 64;
    }
    return known;
}

/* Put a frame into the segments that the selectors of one lead to; its status over all. */
static int follow(Work *w, int32_t s, int32_t row, const uint8_t *at, int32_t length, int status)
{
    const Group *groups = w->plan->table[GROUPS], *group = &groups[w->segments[s].group];
    const Interval *interval = w->plan->table[INTERVALS];
    const int32_t *targets = w->plan->table[TARGETS];
    uint16_t source = w->segments[s].source;
    for (int32_t k = group->selector_first; k < group->selector_last; k++) {
        const Selector *selector = (const Selector *)w->plan->table[SELECTORS] + k;
        if (selector->need > length)
            continue;
        uint64_t after = selector->carry ? load(at, selector->word + 2) : 0;
        uint64_t raw = joined(load(at, selector->word), after, selector->shift, selector->carry);
        raw &= selector->mask;
        int32_t low = selector->first, high = selector->last;
        while (low < high) { /* the first interval that ends at `raw` or later */
            int32_t middle = (low + high) / 2;
            if (interval[middle].high < raw)
                low = middle + 1;
            else
                high = middle;
        }
        if (low == selector->last || interval[low].low > raw) {
            status = BAD_MULTIPLEXER;
            continue;
        }
        for (int32_t t = interval[low].first; t < interval[low].last; t++) {
            int32_t next = find_segment(w, targets[t], source);
            if (next < 0)
                return status;
            if (!ROOM(w, entries, entry_count, entry_room))
                return status;
            w->entries[w->entry_count++] = (Entry){next, row};
            Segment *segment = &w->segments[next];
            segment->count++;
            if (length < segment->min_length)
                segment->min_length = length;
            if (status == OK && length < groups[targets[t]].promised)
                status = SHORT;
            status = follow(w, next, row, at, length, status);
        }
    }
    return status;
}

/* A frame that needs a closer look; its status. */
static int classify_one(Work *w, int32_t s, int32_t row, int32_t length)
{
    const Group *group = (const Group *)w->plan->table[GROUPS] + w->segments[s].group;
    const uint8_t *at = payload(w, row);
    int wrong = group->length && length != group->length && length != group->padded;
    if (group->iso_tp && at[0] < 16 && at[0] + 1 < length)
        length = at[0] + 1;
    w->kept[row] = (uint8_t)length;
    if (length < w->segments[s].min_length)
        w->segments[s].min_length = length;
    int status = length < group->promised ? SHORT : OK;
    status = follow(w, s, row, at, length, status);
    return status || !wrong ? status : WRONG_LENGTH;
}

static void classify(Work *w, Known *cache, int shift, int32_t first, int32_t end, int32_t width)
{
    const uint32_t *can_id = w->can_id;
    uint8_t *restrict status = w->status, *restrict kept = w->kept;
    int32_t *restrict root = w->root;
    for (int32_t i = first; i < end; i++) {
        uint32_t id = can_id[i];
        Known *known = &cache[(id * 0x9E3779B1u) >> shift], *last = known + PROBES - 1;
        while (known < last && known->id != id && known->id != 0xFFFFFFFF)
            known++;
        if (known->id != id) {
            *known = learn(w, id);
            if (w->failed)
                return;
        }
        int32_t length = w->length[i] < width ? w->length[i] : width;
        Segment *segment = &w->segments[known->segment];
        root[i] = known->segment;
        segment->count++;
        kept[i] = (uint8_t)length;
        status[i] = known->status;
        if ((uint8_t)(length - known->usual) > known->span) {
            status[i] = (uint8_t)classify_one(w, known->segment, i, length);
            if (w->failed)
                return;
        }
    }
}

static void classify_all(Work *w)
{
    Known cache[CACHE + PROBES];
    int bits = w->n < CACHE / 4 ? CACHE_BITS - 2 : CACHE_BITS;
    for (int k = 0; k < (1 << bits) + PROBES; k++)
        cache[k] = (Known){0xFFFFFFFF, NOWHERE, NO_PAYLOAD, 0, 255};
    if (!ROOM(w, segments, segment_count, segment_room))
        return;
    w->segments[w->segment_count++] = (Segment){.group = -1, .next = -1}; /* NOWHERE */
    classify(w, cache, 32 - bits, 0, w->n8, 8);
    if (!w->failed)
        classify(w, cache, 32 - bits, w->n8, w->n, 64);
}

/* Rows by (group, source), frame order inside. */
static void sort_rows(Work *w)
{
    int32_t start = 0;
    for (int32_t k = 0; k < w->active_count; k++) {
        Batch *batch = &w->group[w->active[k]];
        batch->start = start;
        batch->min_length = 255;
        for (int32_t s = batch->head; s >= 0; s = w->segments[s].next) {
            Segment *segment = &w->segments[s];
            segment->start = start;
            start += segment->count;
            if (segment->min_length < batch->min_length)
                batch->min_length = segment->min_length;
        }
        batch->count = start - batch->start;
    }
    w->segments[NOWHERE].start = start;
    for (int32_t i = 0; i < w->n; i++)
        w->rows[w->segments[w->root[i]].start++] = i;
    for (int32_t e = 0; e < w->entry_count; e++)
        w->rows[w->segments[w->entries[e].segment].start++] = w->entries[e].row;
    for (int32_t s = 0; s < w->segment_count; s++)
        w->segments[s].start -= w->segments[s].count;
}

/* How many frames of a segment hold a signal. */
static int32_t holding(const Work *w, const Segment *segment, int32_t need)
{
    if (segment->min_length >= need)
        return segment->count;
    int32_t count = 0;
    for (int32_t k = 0; k < segment->count; k++)
        count += w->kept[w->rows[segment->start + k]] >= need;
    return count;
}

static void add_run(Work *w, const Named *named, uint16_t source, int32_t count)
{
    const int32_t run = w->runs++;
    const int64_t samples = w->samples;
    w->samples = samples + count;
    w->run_start[run] = samples;
    w->run_head[run] = named->signal;
    w->run_signal[run] = (uint16_t)named->name;
    w->run_source[run] = (int16_t)source;
}

/* Runs of a name that one signal feeds. */
static void order_one(Work *w, const Named *named)
{
    w->place[named->signal] = w->samples;
    for (int32_t s = w->group[named->group].head; s >= 0; s = w->segments[s].next) {
        int32_t count = holding(w, &w->segments[s], named->need);
        if (count)
            add_run(w, named, w->segments[s].source, count);
    }
}

/* Sort the rows from `middle` on into those before; both are in order. */
static void merge_rows(Work *w, int32_t first, int32_t middle)
{
    int32_t left = middle - first, i = 0, k = middle, last = w->merged_count;
    if (!left || middle == last)
        return;
    Merged *old = malloc((size_t)left * sizeof *old), *to = w->merged + first;
    if (!old) {
        w->failed = 1;
        return;
    }
    memcpy(old, to, (size_t)left * sizeof *old);
    while (i < left)
        *to++ = k < last && w->merged[k].key < old[i].key ? w->merged[k++] : old[i++];
    free(old);
}

/* Runs of a name that several signals feed: filled one after the other, then put in order. */
static void order_many(Work *w, const Named *named, const Named *end)
{
    if (!ROOM(w, merges, merge_count, merge_room))
        return;
    int32_t first = w->merged_count;
    for (const Named *one = named; one < end; one++) {
        int32_t middle = w->merged_count;
        w->place[one->signal] = w->samples + middle - first;
        for (int32_t s = w->group[one->group].head; s >= 0; s = w->segments[s].next) {
            const Segment *segment = &w->segments[s];
            for (int32_t k = 0; k < segment->count; k++) {
                int32_t row = w->rows[segment->start + k];
                if (w->kept[row] < one->need)
                    continue;
                if (!ROOM(w, merged, merged_count, merged_room))
                    return;
                uint64_t key = (uint64_t)segment->source << 32 | (uint32_t)row;
                w->merged[w->merged_count] =
                    (Merged){key, w->merged_count - first, (int32_t)(one - named)};
                w->merged_count++;
            }
        }
        merge_rows(w, first, middle);
    }
    int32_t last = w->merged_count;
    w->merges[w->merge_count++] = (Merge){w->samples, last - first, first};
    for (int32_t i = first, k = first; i < last; i = k) {
        uint64_t source = w->merged[i].key >> 32;
        int32_t head = w->merged[i].signal;
        for (; k < last && w->merged[k].key >> 32 == source; k++)
            if (w->merged[k].signal < head)
                head = w->merged[k].signal;
        add_run(w, named + head, (uint16_t)source, k - i);
    }
}

static void order_runs(Work *w)
{
    const Named *named = w->plan->table[BY_NAME], *end = named + w->plan->rows[BY_NAME], *next;
    int64_t most = 1;
    for (int32_t k = 0; k < w->active_count; k++) {
        const Group *group = (const Group *)w->plan->table[GROUPS] + w->active[k];
        most += (int64_t)w->group[w->active[k]].segments
              * (group->signal_last - group->signal_first);
    }
    w->run_start = malloc((size_t)most * (8 + 4 + 2 + 2));
    if (!w->run_start) {
        w->failed = 1;
        return;
    }
    w->run_head = (int32_t *)(w->run_start + most);
    w->run_signal = (uint16_t *)(w->run_head + most);
    w->run_source = (int16_t *)(w->run_signal + most);
    for (; named < end && !w->failed; named = next) {
        const Named *only = NULL;
        next = named + 1;
        if (next == end || next->name != named->name) { /* nearly always */
            if (w->group[named->group].segments)
                order_one(w, named);
            continue;
        }
        int feeding = 0;
        for (next = named; next < end && next->name == named->name; next++)
            if (w->group[next->group].segments) {
                only = next;
                feeding++;
            }
        if (feeding == 1)
            order_one(w, only);
        else if (feeding)
            order_many(w, named, next);
    }
    w->run_start[w->runs] = w->samples;
}

void kernel_count(Work *w)
{
    classify_all(w);
    if (w->failed)
        return;
    w->rows = malloc(((size_t)w->n + w->entry_count + 1) * sizeof *w->rows);
    w->failed = !w->rows;
    if (!w->failed)
        sort_rows(w);
    if (!w->failed)
        order_runs(w);
}

