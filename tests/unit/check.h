/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* cmocka, with what it wants included before it, and the rows of its tables. */
#ifndef SLUICE_TEST_CHECK_H
#define SLUICE_TEST_CHECK_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

/* A test of a program whose every test is between its own set_up() and tear_down(). */
#define ROW(name, function)                                                                        \
	{                                                                                          \
		name, function, set_up, tear_down, NULL                                            \
	}

#endif
