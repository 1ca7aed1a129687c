-- Many readers of pages. Arguments: the paths to ask for, in turn.
dofile("report.lua")

local turn = 0

function init(args)
    paths = args
end

function request()
    turn = turn + 1
    return wrk.format("GET", paths[(turn - 1) % #paths + 1])
end

function done(summary, latency)
    report(summary, latency)
end
