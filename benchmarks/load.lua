-- What wrk asks for, and how it says what came of it. Arguments: how many pages, a seed, and how many referrers and agents.
-- The URL names the page, or, where there are many, what their names begin with: the n-th is then drawn 1/n times as often
-- as the first (Zipf's law). Where there are referrers, each request has one of them and one of as many user agents, drawn
-- evenly. Every request is made before the run begins, so that the run measures the server.

local DRAWS = 100000

local function cumulative_weights(pages)
   local sums, sum = {}, 0
   for n = 1, pages do
      sum = sum + 1 / n
      sums[n] = sum
   end
   return sums
end

-- The first place in `sums` whose value reaches `goal`.
local function place_of(goal, sums)
   local low, high = 1, #sums
   while low < high do
      local middle = math.floor((low + high) / 2)
      if sums[middle] < goal then low = middle + 1 else high = middle end
   end
   return low
end

-- The request for page n by a visitor with the a-th agent, from the r-th referrer.
local function visit(n, r, a)
   local headers = {}
   for name, value in pairs(wrk.headers) do headers[name] = value end
   headers["User-Agent"] = headers["User-Agent"]:gsub("%d+%.0%.0%.0", 100 + a % 40 .. ".0." .. a .. ".0")
   return wrk.format("GET", wrk.path .. n .. "&r=https%3A%2F%2Fsite" .. r .. ".example%2F", headers)
end

function init(args)
   local pages, seed, visits = tonumber(args[1]), tonumber(args[2]), tonumber(args[3])
   if pages == 1 then return end -- no `request` of ours: wrk then sends one fixed text, at no cost
   math.randomseed(seed)
   local sums, made, drawn, turn = cumulative_weights(pages), {}, {}, 0
   for i = 1, DRAWS do
      local n = place_of(math.random() * sums[pages], sums)
      if visits > 0 then
         drawn[i] = visit(n, math.random(visits), math.random(visits))
      else
         made[n] = made[n] or wrk.format("GET", wrk.path .. n)
         drawn[i] = made[n]
      end
   end
   function request()
      turn = turn % DRAWS + 1
      return drawn[turn]
   end
end

-- One line of JSON, which wrk.py looks for among wrk's own; times are in microseconds.
function done(summary, latency)
   local errors = summary.errors
   io.write(string.format(
      '{"completed":%d,"microseconds":%d,"p50":%.1f,"p99":%.1f,'
         .. '"errors":{"connect":%d,"read":%d,"write":%d,"status":%d,"timeout":%d}}\n',
      summary.requests, summary.duration, latency:percentile(50), latency:percentile(99),
      errors.connect, errors.read, errors.write, errors.status, errors.timeout
   ))
end
