DROP TABLE feed_begin;
