/* The compiled kernel: what decoders/kernel.py does with NumPy, in one pass over the frames.
 *
 * classify   each frame to segments (group, source) of the plan, and its status
 * order      rows by (group, source); output runs by (name, source), counted and placed
 * fill       per group and tile of rows: words gathered once, one loop per signal
 * merge      runs of one name that several signals feed, into frame order
 *
 * This file is the door to Python; nothing of Python is touched between the two *_ALLOW_THREADS
 * lines. Only little-endian machines; decoders/kernel_compiled.py says so before importing this.
 */
#define Py_LIMITED_API 0x030B0000
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "_kernel.h"

static const size_t ITEM[TABLES] = {
    sizeof(Signal), sizeof(Selector), sizeof(Interval), sizeof(int32_t), sizeof(Group),
    sizeof(Key), sizeof(Level), sizeof(Key), sizeof(Named),
};

/* Columns of the output block, widest first; the layout kernel_compiled.py reads. */
static int64_t lay_out(Work *w, char *block, int64_t size, int with_raw, int with_rows)
{
    int64_t m = w->samples, r = w->runs;
    int64_t needed = m * (17 + 8 * with_raw + 4 * with_rows) + r * 16 + 8 + w->n;
    if (needed > size)
        return needed;
    int64_t *wide = (int64_t *)block;
    w->out_ns = wide;
    w->out_value = (double *)(wide + m);
    w->out_raw = with_raw ? (uint64_t *)(wide + 2 * m) : NULL;
    wide += (2 + with_raw) * m;
    memcpy(wide, w->run_start, (r + 1) * 8);
    int32_t *middle = (int32_t *)(wide + r + 1);
    memcpy(middle, w->run_head, r * 4);
    middle += r;
    w->out_row = with_rows ? middle : NULL;
    middle += with_rows ? m : 0;
    memcpy(middle, w->run_signal, r * 2);
    memcpy((char *)middle + r * 2, w->run_source, r * 2);
    w->out_quality = (uint8_t *)middle + r * 4;
    memset(w->out_quality, GOOD, m);
    memcpy(w->out_quality + m, w->status, w->n);
    return 0;
}

static void release(Work *w)
{
    free(w->root);
    free(w->group);
    free(w->rows);
    free(w->segments);
    free(w->entries);
    free(w->merged);
    free(w->merges);
    free(w->run_start);
}

static void prepare_work(Work *w)
{
    size_t groups = (size_t)w->plan->rows[GROUPS], signals = (size_t)w->plan->rows[SIGNALS];
    w->root = malloc(6 * (size_t)w->n + 1);
    w->status = (uint8_t *)(w->root + w->n);
    w->kept = w->status + w->n;
    w->group = calloc(1, (groups + 1) * (sizeof(Batch) + 4) + (signals + 1) * 8);
    w->failed = !w->root || !w->group;
    if (w->failed)
        return;
    w->place = (int64_t *)(w->group + groups + groups % 2);
    w->active = (int32_t *)(w->place + signals);
    for (size_t g = 0; g < groups; g++)
        w->group[g].head = -1;
}

static void free_plan(PyObject *capsule)
{
    Plan *plan = PyCapsule_GetPointer(capsule, "decoders._kernel.Plan");
    for (int k = 0; plan && k < TABLES; k++)
        free(plan->table[k]);
    free(plan);
}

static PyObject *prepare(PyObject *module, PyObject *const *args, Py_ssize_t n)
{
    (void)module;
    if (n != TABLES)
        return PyErr_Format(PyExc_TypeError, "%d tables expected", TABLES);
    Plan *plan = calloc(1, sizeof *plan);
    PyObject *capsule = plan ? PyCapsule_New(plan, "decoders._kernel.Plan", free_plan) : NULL;
    if (!capsule)
        return plan ? NULL : PyErr_NoMemory();
    for (int k = 0; k < TABLES; k++) {
        Py_buffer view;
        if (PyObject_GetBuffer(args[k], &view, PyBUF_SIMPLE) < 0)
            goto fail;
        plan->rows[k] = (int32_t)(view.len / (Py_ssize_t)ITEM[k]);
        plan->table[k] = malloc((size_t)view.len + 1);
        if (plan->table[k])
            memcpy(plan->table[k], view.buf, (size_t)view.len);
        int odd = view.len % (Py_ssize_t)ITEM[k] != 0;
        PyBuffer_Release(&view);
        if (odd || !plan->table[k]) {
            PyErr_Format(PyExc_ValueError, "table %d: rows of %zu bytes expected", k, ITEM[k]);
            goto fail;
        }
    }
    return capsule;
fail:
    Py_DECREF(capsule);
    return NULL;
}

enum { CAN_ID, LENGTH, OBSERVED, PAYLOAD8, PAYLOAD64, BLOCK, BUFFERS };

static PyObject *run(Work *w, Py_buffer *b, int with_raw, int with_rows)
{
    int64_t needed = 0;
    w->n = (int32_t)b[LENGTH].len;
    w->n8 = (int32_t)(b[PAYLOAD8].len / 8);
    if (b[CAN_ID].len != 4 * b[LENGTH].len || b[OBSERVED].len != 8 * b[LENGTH].len
        || b[PAYLOAD8].len % 8 || b[PAYLOAD64].len % 64
        || b[PAYLOAD8].len / 8 + b[PAYLOAD64].len / 64 != b[LENGTH].len
        || b[LENGTH].len > 0x3FFFFFFF) {
        PyErr_SetString(PyExc_ValueError, "columns of different length");
        return NULL;
    }
    w->can_id = b[CAN_ID].buf;
    w->length = b[LENGTH].buf;
    w->observed_ns = b[OBSERVED].buf;
    w->payload8 = b[PAYLOAD8].buf;
    w->payload64 = b[PAYLOAD64].buf;
    Py_BEGIN_ALLOW_THREADS
    prepare_work(w);
    if (!w->failed)
        kernel_count(w);
    if (!w->failed)
        needed = lay_out(w, b[BLOCK].buf, b[BLOCK].len, with_raw, with_rows);
    if (!w->failed && !needed)
        kernel_fill(w);
    release(w);
    Py_END_ALLOW_THREADS
    if (w->failed)
        return PyErr_NoMemory();
    return Py_BuildValue("LLi", (long long)needed, (long long)w->samples, w->runs);
}

/* (bytes that were missing in the block or 0, samples, runs) */
static PyObject *decode_columns(PyObject *module, PyObject *const *args, Py_ssize_t n)
{
    (void)module;
    if (n != BUFFERS + 3) {
        PyErr_SetString(PyExc_TypeError, "plan, 6 buffers, with_raw, with_rows expected");
        return NULL;
    }
    Work work = {.plan = PyCapsule_GetPointer(args[0], "decoders._kernel.Plan")};
    Py_buffer views[BUFFERS];
    PyObject *result = NULL;
    int got = 0;
    while (work.plan && got < BUFFERS) {
        int flags = got == BLOCK ? PyBUF_WRITABLE : PyBUF_SIMPLE;
        if (PyObject_GetBuffer(args[got + 1], &views[got], flags) < 0)
            break;
        got++;
    }
    if (got == BUFFERS) {
        int with_raw = PyObject_IsTrue(args[BUFFERS + 1]);
        result = run(&work, views, with_raw, PyObject_IsTrue(args[BUFFERS + 2]));
    }
    while (got--)
        PyBuffer_Release(&views[got]);
    return result;
}

static PyMethodDef methods[] = {
    {"prepare", (PyCFunction)(void (*)(void))prepare, METH_FASTCALL,
     "prepare(*tables): a plan for `decode`; tables as kernel_compiled.py lays them out."},
    {"decode", (PyCFunction)(void (*)(void))decode_columns, METH_FASTCALL,
     "decode(plan, can_id, length, observed_ns, payload8, payload64, block, raw, rows):\n"
     "(bytes the block should have had or 0, samples, runs)."},
    {NULL, NULL, 0, NULL},
};
static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT, "_kernel", "The compiled decode kernel.", 0, methods, NULL, NULL, NULL,
    NULL,
};

PyMODINIT_FUNC PyInit__kernel(void)
{
    return PyModule_Create(&definition);
}
