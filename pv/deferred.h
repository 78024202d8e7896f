/* The deferred backend; see deferred.c. */
#pragma once

void deferred_setup(void);
