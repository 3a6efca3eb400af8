/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What a store that is restored has to learn from the one whose place it takes. For restore.c. */
#ifndef SLUICE_RESTORE_COMPARE_H
#define SLUICE_RESTORE_COMPARE_H

#include "store.h"

/*
 * Give each key of a restored store the usage that the former store has counted since, and log which
 * keys change their standing. A former store that is not there or cannot be read is passed over.
 */
int restore_compare(struct store *restored, const char *former);

#endif
