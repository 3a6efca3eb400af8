/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The id that each error has, so that whoever is told of it can name it. */
#ifndef SLUICE_TRACE_ID_H
#define SLUICE_TRACE_ID_H

#include "../bpf/abi.h"

#define TRACE_ID_TEXT_SIZE (4 + TRACE_ID_SIZE + 1)

/* Make a new id: "req_" and 24 of a-z0-9. */
void trace_id_make(char ret_id[TRACE_ID_TEXT_SIZE]);

#endif
