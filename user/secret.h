/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Memory that held a secret is wiped when it is given back. */
#ifndef SLUICE_SECRET_H
#define SLUICE_SECRET_H

/* Once, before any JSON: from then on jansson's memory is wiped when it is freed. */
void secret_wipe_json(void);

/* Wipe and free what malloc() gave. NULL is allowed. */
void secret_free(void *memory);

#endif
