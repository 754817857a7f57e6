-- How a transfer goes: run by the dialled channel (api_on_…), by the scheduler (`alone`), and by the dialplan (`over`).

local transfer = require("transfer")

local uuid, what = argv[1], argv[2]
transfer[what](uuid)
