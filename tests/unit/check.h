/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* cmocka, with what it wants included before it. */
#ifndef SLUICE_TEST_CHECK_H
#define SLUICE_TEST_CHECK_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#endif
