-- What is due later: `open` at once, `again` after a wait, or `check` of an opening. On a thread of its own.

local stream = require("stream")

local uuid, what, serial = argv[1], argv[2], tonumber(argv[3] or "")
if what == "check" then stream.check(uuid, serial) else stream.open(uuid, what == "again") end
