-- A player that seeks: each request asks for 1 to 4 MB from a random place. Arguments: the file's size, a seed.
dofile("report.lua")

function init(args)
    size = tonumber(args[1])
    math.randomseed(tonumber(args[2]))
end

function request()
    local length = math.random(1000000, 4000000)
    local first = math.random(0, size - length)
    return wrk.format("GET", nil, {["Range"] = "bytes=" .. first .. "-" .. (first + length - 1)})
end

function done(summary, latency)
    report(summary, latency)
end
