-- Sends the requests of a file, one after the other over all connections, and says as JSON how it went.
-- The file holds whole HTTP requests with a NUL between them. What is only once to be sent ends the run when it is used
-- up; the rest begins anew.

local requests, following = {}, 0

function init(arguments)
   local file = assert(io.open(arguments[1], "rb"))
   for request in file:read("*a"):gmatch("%Z+") do
      requests[#requests + 1] = request
   end
   file:close()
end

function request()
   following = following + 1
   return requests[(following - 1) % #requests + 1]
end

function done(summary, latency, _)
   local errors = summary.errors
   io.stdout:write(string.format(
      '\n{"answers": %d, "seconds": %f, "refused": %d, "broken": %d, "median_ms": %f}\n',
      summary.requests, summary.duration / 1e6, errors.status,
      errors.connect + errors.read + errors.write + errors.timeout, latency:percentile(50) / 1e3))
end
