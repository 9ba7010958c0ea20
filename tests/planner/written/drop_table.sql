DROP TABLE IF EXISTS quote@shanghai;
