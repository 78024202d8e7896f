/* Why the machine is left. */
#pragma once

enum shutdown_reason { SHUTDOWN_PASSED, SHUTDOWN_FAILED, SHUTDOWN_CRASHED };
