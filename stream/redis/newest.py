"""A list goes to Redis only where no newer one of its session is there: a worker may hand over late what it gathered
while Redis was away, when the partition's next owner has written already."""

__all__ = ["NEWEST"]

# KEYS: where the list goes; ARGV: the list, seconds it stays. 1 where it was written, 0 where a newer one stays.
# A list for a later click wins whatever the workers' clocks say; one for an earlier or the same click, or for a click
# of another partition, wins where it was published later: the clicks' topic was made again, or the session has moved.
NEWEST = """
local function place(list)
  local partition, offset = list:match('"source":{"topic":"[^"]*","partition":(%d+),"offset":(%d+)}')
  return partition, tonumber(offset), tonumber(list:match('"published_ts":(%d+)'))
end
local held = redis.call('GET', KEYS[1])
if held then
  local partition, offset, published = place(held)
  local my_partition, my_offset, my_published = place(ARGV[1])
  local later = partition == my_partition and my_offset and offset and my_offset > offset
  if not later and published and my_published and my_published < published then
    return 0
  end
end
redis.call('SET', KEYS[1], ARGV[1], 'EX', ARGV[2])
return 1
"""
