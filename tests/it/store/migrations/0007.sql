-- What a service wrote with migration 7: that of the sample of migration 6, with a session of a browser.
PRAGMA defer_foreign_keys = ON;

DROP TABLE old_due_cancels;
DROP TABLE due_urls;
DROP TABLE listings;
DROP TABLE job_urls;
DROP TABLE task_urls;

INSERT INTO meta (key, value) VALUES
  ('callback_secret', 'a-secret-of-the-sample'),
  ('upstream', 'http://upstream'),
  ('url_form', '3');

INSERT INTO destinations (number, hash, kind, name, folder) VALUES
  (1, x'09994fb2583124d5', 1, NULL, NULL),
  (2, x'39f1ddeaf69d0ae0', 0, NULL, NULL);

INSERT INTO jobs (number, id, created_at, created_by, settled_at, state, labels, unique_id, folder_id, quality, library, force, urls, waiting, sent, downloaded, indexed, failed, known, canceled) VALUES
  (1, 'job_01a22a9635e172ba8d700170ff9a1708', 1796010816993, NULL, 1796010817340, 'done', '{"n":"1"}', NULL, NULL, '360', 'private', 0, 4, 0, 0, 0, 4, 0, 0, 0),
  (2, 'job_01a22a96378a74a2b3110811f037affb', 1796010817418, NULL, 1796010819555, 'partial', '{"n":"2"}', NULL, NULL, '360', 'private', 0, 4, 0, 0, 0, 1, 2, 1, 0),
  (3, 'job_01a22a96402570b4992829e66466d4f4', 1796010819621, NULL, NULL, 'running', '{"n":"3"}', NULL, NULL, '360', 'private', 0, 4, 1, 0, 0, 0, 2, 1, 0),
  (4, 'job_01a22a9647ab7363a76fc2964ad36e14', 1796010821547, NULL, NULL, 'running', '{"n":"4"}', NULL, NULL, '360', 'private', 0, 4, 0, 2, 0, 0, 1, 1, 1),
  (5, 'job_01a22a9647fd75fd9e7ce5c616698076', 1796010821629, NULL, NULL, 'running', '{}', NULL, 9007199254740993, '720', 'public', 0, 2, 2, 0, 0, 0, 0, 0, 0);

INSERT INTO job_labels (key, value, job_id) VALUES
  ('n', '1', 'job_01a22a9635e172ba8d700170ff9a1708'),
  ('n', '2', 'job_01a22a96378a74a2b3110811f037affb'),
  ('n', '3', 'job_01a22a96402570b4992829e66466d4f4'),
  ('n', '4', 'job_01a22a9647ab7363a76fc2964ad36e14');

INSERT INTO idempotency_keys (caller, key, request, job_id) VALUES
  ('', 'k1', x'bd877581f0443e7603c91df2f6417046db801183237de5642d194570e46f3d9c', 'job_01a22a9635e172ba8d700170ff9a1708'),
  ('', 'k2', x'8f9094fa849228500e130a58ef258176fcfe6d51755052d3742526a993f15a7c', 'job_01a22a96378a74a2b3110811f037affb'),
  ('', 'k3', x'073b85512d7b724800eaea2b5d8f980d544dfd4ca7ac50f348dc20e518628f66', 'job_01a22a96402570b4992829e66466d4f4'),
  ('', 'k4', x'052abed9eb0adc651046faa8ed0bebe63cbab874e7ee340f834f5c4118c5b661', 'job_01a22a9647ab7363a76fc2964ad36e14');

INSERT INTO tasks (number, id, job_id, platform, destination, quality, created_at, state, upstream_id, upstream_id_source, other_id, asks_other, accepted_at, downloaded_at, settled_at, retry_of, replaced_by, error_code, error_message, error_certain, next_attempt_at, news, news_at, polled_news, asked_news, polled_at, answered_at, poll_wanted, polls_in_vain, refused_polls, refused_since, poll_not_before, hinted_at, quiet_since, stalled_at, next_poll_at, unrecognized, is_old) VALUES
  (1, 'task_01a22a9635e670f983a219c9d7e85da8', 'job_01a22a9635e172ba8d700170ff9a1708', 'tiktok', 1, 360, 1796010816998, 'indexed', '77d0e552-874d-4b6a-ba06-f3d238aff3c4', 'submit', NULL, 0, 1796010817007, 1796010817110, 1796010817326, NULL, NULL, NULL, NULL, NULL, 1796010816998, 3, 1796010818328, 3, 3, 1796010819330, 1796010819330, -1, 1, 0, NULL, 0, NULL, 1796010819330, NULL, NULL, 0, 0),
  (2, 'task_01a22a9635f477f3ae5bd648cf436108', 'job_01a22a9635e172ba8d700170ff9a1708', 'youtube', 1, 360, 1796010817012, 'indexed', '619821b1-c800-45d4-92de-5b257effae93', 'submit', NULL, 0, 1796010817017, 1796010817118, 1796010817332, NULL, NULL, NULL, NULL, NULL, 1796010817012, 2, 1796010817337, 2, 2, 1796010818340, 1796010818340, -1, 1, 0, NULL, 0, NULL, 1796010818340, NULL, NULL, 0, 0),
  (3, 'task_01a22a9635ff7078aa88e86696311104', 'job_01a22a9635e172ba8d700170ff9a1708', 'instagram', 1, 360, 1796010817023, 'indexed', '7849e42d-569b-47ce-89fa-040661455a3c', 'submit', NULL, 0, 1796010817028, 1796010817129, 1796010817340, NULL, NULL, NULL, NULL, NULL, 1796010817023, 2, 1796010818351, 2, 2, 1796010819353, 1796010819353, -1, 1, 0, NULL, 0, NULL, 1796010819353, NULL, NULL, 0, 0),
  (4, 'task_01a22a96378d762f8b443a1c994792f6', 'job_01a22a96378a74a2b3110811f037affb', 'tiktok', 1, 360, 1796010817421, 'indexed', 'b427f4b8-d5e4-4b4e-9495-e4a4962b42f2', 'submit', NULL, 0, 1796010817429, 1796010817531, 1796010817653, NULL, NULL, NULL, NULL, NULL, 1796010817421, 2, 1796010817657, 2, 2, 1796010818661, 1796010818661, -1, 1, 0, NULL, 0, NULL, 1796010818661, NULL, NULL, 0, 0),
  (5, 'task_01a22a963798734a887f8037f2473799', 'job_01a22a96378a74a2b3110811f037affb', 'youtube', 1, 360, 1796010817432, 'failed', '8c8701d3-2e94-49e5-b3ff-068e9283d4c8', 'submit', NULL, 0, 1796010817437, 1796010817538, 1796010818540, NULL, NULL, 'video_failed', 'upstream could not index it', 1, 1796010817432, 1, 1796010818540, 1, 1, 1796010819542, 1796010819542, -1, 1, 0, NULL, 0, NULL, 1796010819542, NULL, NULL, 0, 0),
  (6, 'task_01a22a9637a375afb9abbec7fe01412b', 'job_01a22a96378a74a2b3110811f037affb', 'instagram', 1, 360, 1796010817443, 'failed', '39100a62-fc04-46d6-843d-07d47a7be338_07eedd2b636ae9558a28af2fc670671c', 'submit', NULL, 0, 1796010817450, 1796010817551, 1796010819555, NULL, NULL, 'no_video', 'upstream made no video of it', 0, 1796010817443, 1, 1796010817551, 1, 1, 1796010820556, 1796010820556, -1, 3, 0, NULL, 0, NULL, 1796010818553, NULL, NULL, 0, 0),
  (7, 'task_01a22a964028742f8b06fb69d88aa91f', 'job_01a22a96402570b4992829e66466d4f4', 'tiktok', 1, 360, 1796010819624, 'failed', '5c56812d-3ad3-4c9b-a0b6-5aaeeb73facb', 'submit', NULL, 0, 1796010819631, 1796010819737, 1796010820739, NULL, NULL, 'video_failed', 'upstream could not index it', 1, 1796010819624, 1, 1796010820739, 1, 1, 1796010821742, 1796010820739, -1, 1, 1, 1796010821742, 0, NULL, NULL, NULL, NULL, 0, 0),
  (8, 'task_01a22a96403372beaa27088cbbdd2f81', 'job_01a22a96402570b4992829e66466d4f4', 'youtube', 1, 360, 1796010819635, 'failed', '9803d56a-2dad-4810-80d8-cb39438e8540', 'submit', NULL, 0, 1796010819640, 1796010819742, 1796010820750, NULL, NULL, 'video_failed', 'upstream could not index it', 1, 1796010819635, 1, 1796010820750, 1, 1, 1796010821754, 1796010820750, -1, 1, 1, 1796010821754, 0, NULL, NULL, NULL, NULL, 0, 0),
  (9, 'task_01a22a96403e76829ca753e84bb3cffc', 'job_01a22a96402570b4992829e66466d4f4', 'instagram', 1, 360, 1796010819646, 'failed', '076e01fb-5130-4041-8bbb-5c29e395022f_403fa461ba20566a69287b9fa90534e0', 'submit', NULL, 0, 1796010819652, 1796010819756, 1796010820774, NULL, 'task_01a22a96480574b69f6f200f8b792de1', 'video_failed', 'upstream could not index it', 1, 1796010819646, 1, 1796010820774, 1, 1, 1796010821777, 1796010820774, -1, 1, 1, 1796010821777, 0, NULL, NULL, NULL, NULL, 0, 0),
  (10, 'task_01a22a9647af717c872ad7cf0e0435de', 'job_01a22a9647ab7363a76fc2964ad36e14', 'x.example', 1, 360, 1796010821551, 'unconfirmed', NULL, NULL, NULL, 0, NULL, NULL, NULL, NULL, NULL, 'no_answer', 'the connection was cut before an answer came; upstream may have charged for it', 0, 1796010821551, 0, 1796010821562, -1, -1, NULL, NULL, -1, 0, 0, NULL, 0, NULL, NULL, NULL, NULL, 0, 0),
  (11, 'task_01a22a9647bf75b987f915ac028d3fd1', 'job_01a22a9647ab7363a76fc2964ad36e14', 'y.example', 1, 360, 1796010821567, 'unconfirmed', NULL, NULL, NULL, 0, NULL, NULL, NULL, NULL, NULL, 'no_answer', 'the connection was cut before an answer came; upstream may have charged for it', 0, 1796010821567, 0, 1796010821575, -1, -1, NULL, NULL, -1, 0, 0, NULL, 0, NULL, NULL, NULL, NULL, 0, 0),
  (12, 'task_01a22a96480574b69f6f200f8b792de1', 'job_01a22a96402570b4992829e66466d4f4', 'instagram', 1, 360, 1796010821637, 'queued', NULL, NULL, NULL, 0, NULL, NULL, NULL, 'task_01a22a96403e76829ca753e84bb3cffc', NULL, NULL, NULL, NULL, 1796010821637, 0, 1796010821637, -1, -1, NULL, NULL, -1, 0, 0, NULL, 0, NULL, NULL, NULL, NULL, 0, 0);

INSERT INTO posts (number, destination, hash, canonical, url, platform) VALUES
  (1, 1, -118045797053351808, 'https://www.tiktok.com/video/7300000000000000001', 'https://www.tiktok.com/@u/video/7300000000000000001', 'tiktok'),
  (2, 1, 4045866786671711911, 'https://www.youtube.com/watch?v=vvvvvvvvv01', 'https://youtu.be/vvvvvvvvv01', 'youtube'),
  (3, 1, -8948572992381881119, 'https://www.instagram.com/p/Ppppppppp01/', 'https://www.instagram.com/p/Ppppppppp01/', 'instagram'),
  (4, 1, 8901099137300089409, 'https://www.tiktok.com/video/7310000000000000001', 'https://www.tiktok.com/@u/video/7310000000000000001', 'tiktok'),
  (5, 1, -5733065875101397466, 'https://www.tiktok.com/video/7300000000000000002', 'https://www.tiktok.com/@u/video/7300000000000000002', 'tiktok'),
  (6, 1, 4541959374277215357, 'https://www.youtube.com/watch?v=vvvvvvvvv02', 'https://youtu.be/vvvvvvvvv02', 'youtube'),
  (7, 1, -6457959281707150108, 'https://www.instagram.com/p/Ppppppppp02/', 'https://www.instagram.com/p/Ppppppppp02/', 'instagram'),
  (8, 1, -5103909409366333882, 'https://www.tiktok.com/video/7300000000000000003', 'https://www.tiktok.com/@u/video/7300000000000000003', 'tiktok'),
  (9, 1, -777808660142714908, 'https://www.youtube.com/watch?v=vvvvvvvvv03', 'https://youtu.be/vvvvvvvvv03', 'youtube'),
  (10, 1, -1850144332704269414, 'https://www.instagram.com/p/Ppppppppp03/', 'https://www.instagram.com/p/Ppppppppp03/', 'instagram'),
  (11, 1, 2236787737394826743, 'https://x.example/1', 'https://x.example/1', 'x.example'),
  (12, 1, 983759971440841503, 'https://y.example/1', 'https://y.example/1', 'y.example'),
  (13, 1, -3750200079647188853, 'https://www.youtube.com/watch?v=wwwwwwwww04', 'https://youtu.be/wwwwwwwww04', 'youtube'),
  (14, 2, -5619857840659738111, 'https://youtu.be/queued', 'https://youtu.be/queued', 'youtube'),
  (15, 2, -2692708072668563533, 'https://a.example/b', 'https://a.example/b', 'a.example');

INSERT INTO lines (number, platform, destination, quality, waiting) VALUES
  (1, 'tiktok', 1, 360, 0),
  (2, 'youtube', 1, 360, 0),
  (3, 'instagram', 1, 360, 0),
  (4, 'x.example', 1, 360, 0),
  (5, 'y.example', 1, 360, 0),
  (6, 'youtube', 2, 720, 0),
  (7, 'a.example', 2, 720, 0);

INSERT INTO rounds (number, post, job, url, begun_at, line, kind, state, code, message, certain) VALUES
  (1, 1, 1, NULL, 1796010816993, NULL, 0, 4, NULL, NULL, NULL),
  (2, 2, 1, NULL, 1796010816993, NULL, 0, 4, NULL, NULL, NULL),
  (3, 3, 1, NULL, 1796010816993, NULL, 0, 4, NULL, NULL, NULL),
  (4, 4, 1, NULL, 1796010816993, NULL, 0, 4, NULL, NULL, NULL),
  (5, 5, 2, NULL, 1796010817418, NULL, 0, 4, NULL, NULL, NULL),
  (6, 6, 2, NULL, 1796010817418, NULL, 0, 0, 'video_failed', 'upstream could not index it', 1),
  (7, 7, 2, NULL, 1796010817418, NULL, 0, 0, 'no_video', 'upstream made no video of it', 0),
  (8, 8, 3, NULL, 1796010819621, NULL, 0, 0, 'video_failed', 'upstream could not index it', 1),
  (9, 9, 3, NULL, 1796010819621, NULL, 0, 0, 'video_failed', 'upstream could not index it', 1),
  (10, 10, 3, NULL, 1796010819621, NULL, 0, 0, 'video_failed', 'upstream could not index it', 1),
  (11, 11, 4, NULL, 1796010821547, NULL, 1, 2, NULL, NULL, NULL),
  (12, 12, 4, NULL, 1796010821547, NULL, 1, 2, NULL, NULL, NULL),
  (13, 13, 4, NULL, 1796010821547, NULL, 0, 0, 'canceled', 'canceled before it was sent', 1),
  (14, 14, 5, NULL, 1796010821629, 6, 1, 1, NULL, NULL, NULL),
  (15, 15, 5, NULL, 1796010821629, 7, 1, 1, NULL, NULL, NULL),
  (16, 10, 3, NULL, 1796010821637, NULL, 0, 1, NULL, NULL, NULL);
UPDATE lines SET waiting = (SELECT count(*) FROM rounds WHERE rounds.line = lines.number);

INSERT INTO wants (job, position, round, mark, url) VALUES
  (1, 0, 1, NULL, NULL),
  (1, 1, 2, NULL, NULL),
  (1, 2, 3, NULL, NULL),
  (1, 3, 4, NULL, NULL),
  (2, 0, 5, NULL, NULL),
  (2, 1, 6, NULL, NULL),
  (2, 2, 7, NULL, NULL),
  (2, 3, 1, 1, NULL),
  (3, 0, 8, NULL, NULL),
  (3, 1, 9, NULL, NULL),
  (3, 2, 16, NULL, NULL),
  (3, 3, 1, 1, NULL),
  (4, 0, 1, 1, NULL),
  (4, 1, 11, NULL, NULL),
  (4, 2, 12, NULL, NULL),
  (4, 3, 13, 2, NULL),
  (5, 0, 14, NULL, NULL),
  (5, 1, 15, NULL, NULL);

INSERT INTO attempts (task, position, round, state, standing, attributed, code, message, certain) VALUES
  (1, 0, 1, 4, 3, 1, NULL, NULL, NULL),
  (1, 1, 4, 4, 3, 1, NULL, NULL, NULL),
  (2, 0, 2, 4, 3, 1, NULL, NULL, NULL),
  (3, 0, 3, 4, 3, 1, NULL, NULL, NULL),
  (4, 0, 5, 4, 3, 1, NULL, NULL, NULL),
  (5, 0, 6, 0, 0, 1, 'video_failed', 'upstream could not index it', 1),
  (6, 0, 7, 0, 0, 1, 'no_video', 'upstream made no video of it', 0),
  (7, 0, 8, 0, 0, 1, 'video_failed', 'upstream could not index it', 1),
  (8, 0, 9, 0, 0, 1, 'video_failed', 'upstream could not index it', 1),
  (9, 0, 10, 0, 0, 1, 'video_failed', 'upstream could not index it', 1),
  (10, 0, 11, 2, 1, 1, NULL, NULL, NULL),
  (11, 0, 12, 2, 1, 1, NULL, NULL, NULL),
  (12, 0, 16, 1, 4, 1, NULL, NULL, NULL);

INSERT INTO entries (task, number, video, url, canonical, state, at) VALUES
  (1, 0, 'VI451065197339904807', 'https://www.tiktok.com/@u/video/7300000000000000001', 'https://www.tiktok.com/video/7300000000000000001', 2, 1796010817326),
  (1, 1, 'VI126861871479256846', 'https://www.tiktok.com/@u/video/7310000000000000001', 'https://www.tiktok.com/video/7310000000000000001', 2, 1796010817326),
  (1, 2, 'VI419961664649177186', 'https://www.tiktok.com/@u/video/7310000000000000001', 'https://www.tiktok.com/video/7310000000000000001', 0, 1796010817326),
  (1, 3, 'VI419961664649177186', 'https://www.tiktok.com/@u/video/7310000000000000001', 'https://www.tiktok.com/video/7310000000000000001', 1, 1796010818328),
  (2, 0, 'VI221858829430893123', 'https://youtu.be/vvvvvvvvv01', 'https://www.youtube.com/watch?v=vvvvvvvvv01', 2, 1796010817337),
  (3, 0, 'VI187340700546197425', 'https://www.instagram.com/p/Ppppppppp01/', 'https://www.instagram.com/p/Ppppppppp01/', 0, 1796010817348),
  (3, 1, 'VI167638463669142962', 'https://www.instagram.com/p/Ppppppppp01/', 'https://www.instagram.com/p/Ppppppppp01/', 2, 1796010817348),
  (3, 2, 'VI187340700546197425', 'https://www.instagram.com/p/Ppppppppp01/', 'https://www.instagram.com/p/Ppppppppp01/', 1, 1796010818351),
  (4, 0, 'VI534979109001733196', 'https://www.tiktok.com/@u/video/7300000000000000002', 'https://www.tiktok.com/video/7300000000000000002', 2, 1796010817657),
  (5, 0, 'VI809306970637932360', 'https://youtu.be/vvvvvvvvv02', 'https://www.youtube.com/watch?v=vvvvvvvvv02', 1, 1796010818540),
  (7, 0, 'VI154564111223996186', 'https://www.tiktok.com/@u/video/7300000000000000003', 'https://www.tiktok.com/video/7300000000000000003', 1, 1796010820739),
  (8, 0, 'VI831520072945048374', 'https://youtu.be/vvvvvvvvv03', 'https://www.youtube.com/watch?v=vvvvvvvvv03', 1, 1796010820750),
  (9, 0, 'VI576521992989829064', 'https://www.instagram.com/p/Ppppppppp03/', 'https://www.instagram.com/p/Ppppppppp03/', 1, 1796010820774);

INSERT INTO joins (task, position, video) VALUES
  (1, 0, 'VI451065197339904807'),
  (1, 1, 'VI126861871479256846'),
  (1, 1, 'VI419961664649177186'),
  (2, 0, 'VI221858829430893123'),
  (3, 0, 'VI167638463669142962'),
  (3, 0, 'VI187340700546197425'),
  (4, 0, 'VI534979109001733196'),
  (5, 0, 'VI809306970637932360'),
  (7, 0, 'VI154564111223996186'),
  (8, 0, 'VI831520072945048374'),
  (9, 0, 'VI576521992989829064');

INSERT INTO served (task, job, after) VALUES
  (1, 1, 1),
  (1, 2, 20),
  (1, 3, 40),
  (1, 4, 60),
  (2, 1, 3),
  (3, 1, 5),
  (4, 2, 21),
  (5, 2, 23),
  (6, 2, 25),
  (7, 3, 41),
  (8, 3, 43),
  (9, 3, 45),
  (10, 4, 61),
  (11, 4, 63),
  (12, 3, 69);

INSERT INTO submits (number, task_id, attempt, started_at, ended_at, outcome, code, message, urls) VALUES
  (1, 'task_01a22a9635e670f983a219c9d7e85da8', 1, 1796010816998, 1796010817007, 'accepted', NULL, NULL, 2),
  (2, 'task_01a22a9635f477f3ae5bd648cf436108', 1, 1796010817012, 1796010817017, 'accepted', NULL, NULL, 1),
  (3, 'task_01a22a9635ff7078aa88e86696311104', 1, 1796010817023, 1796010817028, 'accepted', NULL, NULL, 1),
  (4, 'task_01a22a96378d762f8b443a1c994792f6', 1, 1796010817421, 1796010817429, 'accepted', NULL, NULL, 1),
  (5, 'task_01a22a963798734a887f8037f2473799', 1, 1796010817432, 1796010817437, 'accepted', NULL, NULL, 1),
  (6, 'task_01a22a9637a375afb9abbec7fe01412b', 1, 1796010817443, 1796010817450, 'accepted', NULL, NULL, 1),
  (7, 'task_01a22a964028742f8b06fb69d88aa91f', 1, 1796010819624, 1796010819631, 'accepted', NULL, NULL, 1),
  (8, 'task_01a22a96403372beaa27088cbbdd2f81', 1, 1796010819635, 1796010819640, 'accepted', NULL, NULL, 1),
  (9, 'task_01a22a96403e76829ca753e84bb3cffc', 1, 1796010819646, 1796010819652, 'accepted', NULL, NULL, 1),
  (10, 'task_01a22a9647af717c872ad7cf0e0435de', 1, 1796010821551, 1796010821562, 'unknown', 'no_answer', 'the connection was cut before an answer came; upstream may have charged for it', 1),
  (11, 'task_01a22a9647bf75b987f915ac028d3fd1', 1, 1796010821567, 1796010821575, 'unknown', 'no_answer', 'the connection was cut before an answer came; upstream may have charged for it', 1);

INSERT INTO facts (task_id, kind, video_id, at, source, code, message) VALUES
  ('task_01a22a9635e670f983a219c9d7e85da8', 'succeeded', '', 1796010817110, 'callback', NULL, NULL),
  ('task_01a22a9635e670f983a219c9d7e85da8', 'video_failed', 'VI419961664649177186', 1796010818328, 'poll', 'video_failed', 'upstream could not index it'),
  ('task_01a22a9635e670f983a219c9d7e85da8', 'video_indexed', 'VI126861871479256846', 1796010817124, 'callback', NULL, NULL),
  ('task_01a22a9635e670f983a219c9d7e85da8', 'video_indexed', 'VI451065197339904807', 1796010817324, 'callback', NULL, NULL),
  ('task_01a22a9635e670f983a219c9d7e85da8', 'video_seen', 'VI126861871479256846', 1796010817326, 'poll', NULL, NULL),
  ('task_01a22a9635e670f983a219c9d7e85da8', 'video_seen', 'VI419961664649177186', 1796010817326, 'poll', NULL, NULL),
  ('task_01a22a9635e670f983a219c9d7e85da8', 'video_seen', 'VI451065197339904807', 1796010817326, 'poll', NULL, NULL),
  ('task_01a22a9635f477f3ae5bd648cf436108', 'succeeded', '', 1796010817118, 'callback', NULL, NULL),
  ('task_01a22a9635f477f3ae5bd648cf436108', 'video_indexed', 'VI221858829430893123', 1796010817332, 'callback', NULL, NULL),
  ('task_01a22a9635f477f3ae5bd648cf436108', 'video_seen', 'VI221858829430893123', 1796010817337, 'poll', NULL, NULL),
  ('task_01a22a9635ff7078aa88e86696311104', 'succeeded', '', 1796010817129, 'callback', NULL, NULL),
  ('task_01a22a9635ff7078aa88e86696311104', 'video_failed', 'VI187340700546197425', 1796010818351, 'poll', 'video_failed', 'upstream could not index it'),
  ('task_01a22a9635ff7078aa88e86696311104', 'video_indexed', 'VI167638463669142962', 1796010817340, 'callback', NULL, NULL),
  ('task_01a22a9635ff7078aa88e86696311104', 'video_seen', 'VI167638463669142962', 1796010817348, 'poll', NULL, NULL),
  ('task_01a22a9635ff7078aa88e86696311104', 'video_seen', 'VI187340700546197425', 1796010817348, 'poll', NULL, NULL),
  ('task_01a22a96378d762f8b443a1c994792f6', 'succeeded', '', 1796010817531, 'callback', NULL, NULL),
  ('task_01a22a96378d762f8b443a1c994792f6', 'video_indexed', 'VI534979109001733196', 1796010817653, 'callback', NULL, NULL),
  ('task_01a22a96378d762f8b443a1c994792f6', 'video_seen', 'VI534979109001733196', 1796010817657, 'poll', NULL, NULL),
  ('task_01a22a963798734a887f8037f2473799', 'succeeded', '', 1796010817538, 'callback', NULL, NULL),
  ('task_01a22a963798734a887f8037f2473799', 'video_failed', 'VI809306970637932360', 1796010818540, 'poll', 'video_failed', 'upstream could not index it'),
  ('task_01a22a963798734a887f8037f2473799', 'video_seen', 'VI809306970637932360', 1796010818540, 'poll', NULL, NULL),
  ('task_01a22a9637a375afb9abbec7fe01412b', 'list_complete', '', 1796010819555, 'poll', NULL, NULL),
  ('task_01a22a9637a375afb9abbec7fe01412b', 'succeeded', '', 1796010817551, 'callback', NULL, NULL),
  ('task_01a22a964028742f8b06fb69d88aa91f', 'succeeded', '', 1796010819737, 'callback', NULL, NULL),
  ('task_01a22a964028742f8b06fb69d88aa91f', 'video_failed', 'VI154564111223996186', 1796010820739, 'poll', 'video_failed', 'upstream could not index it'),
  ('task_01a22a964028742f8b06fb69d88aa91f', 'video_seen', 'VI154564111223996186', 1796010820739, 'poll', NULL, NULL),
  ('task_01a22a96403372beaa27088cbbdd2f81', 'succeeded', '', 1796010819742, 'callback', NULL, NULL),
  ('task_01a22a96403372beaa27088cbbdd2f81', 'video_failed', 'VI831520072945048374', 1796010820750, 'poll', 'video_failed', 'upstream could not index it'),
  ('task_01a22a96403372beaa27088cbbdd2f81', 'video_seen', 'VI831520072945048374', 1796010820750, 'poll', NULL, NULL),
  ('task_01a22a96403e76829ca753e84bb3cffc', 'succeeded', '', 1796010819756, 'callback', NULL, NULL),
  ('task_01a22a96403e76829ca753e84bb3cffc', 'video_failed', 'VI576521992989829064', 1796010820774, 'poll', 'video_failed', 'upstream could not index it'),
  ('task_01a22a96403e76829ca753e84bb3cffc', 'video_seen', 'VI576521992989829064', 1796010820774, 'poll', NULL, NULL);

INSERT INTO videos (number, id, task_id, state, first_seen_at, indexed_at, error_code, error_message) VALUES
  (1, 'VI126861871479256846', 'task_01a22a9635e670f983a219c9d7e85da8', 'indexed', 1796010817124, 1796010817124, NULL, NULL),
  (2, 'VI451065197339904807', 'task_01a22a9635e670f983a219c9d7e85da8', 'indexed', 1796010817324, 1796010817324, NULL, NULL),
  (3, 'VI221858829430893123', 'task_01a22a9635f477f3ae5bd648cf436108', 'indexed', 1796010817332, 1796010817332, NULL, NULL),
  (4, 'VI419961664649177186', 'task_01a22a9635e670f983a219c9d7e85da8', 'failed', 1796010817326, NULL, 'video_failed', 'upstream could not index it'),
  (5, 'VI167638463669142962', 'task_01a22a9635ff7078aa88e86696311104', 'indexed', 1796010817340, 1796010817340, NULL, NULL),
  (6, 'VI187340700546197425', 'task_01a22a9635ff7078aa88e86696311104', 'failed', 1796010817348, NULL, 'video_failed', 'upstream could not index it'),
  (7, 'VI534979109001733196', 'task_01a22a96378d762f8b443a1c994792f6', 'indexed', 1796010817653, 1796010817653, NULL, NULL),
  (8, 'VI809306970637932360', 'task_01a22a963798734a887f8037f2473799', 'failed', 1796010818540, NULL, 'video_failed', 'upstream could not index it'),
  (9, 'VI154564111223996186', 'task_01a22a964028742f8b06fb69d88aa91f', 'failed', 1796010820739, NULL, 'video_failed', 'upstream could not index it'),
  (10, 'VI831520072945048374', 'task_01a22a96403372beaa27088cbbdd2f81', 'failed', 1796010820750, NULL, 'video_failed', 'upstream could not index it'),
  (11, 'VI576521992989829064', 'task_01a22a96403e76829ca753e84bb3cffc', 'failed', 1796010820774, NULL, 'video_failed', 'upstream could not index it');

INSERT INTO callbacks (id, task_id, body_hash, body, first_received_at, last_received_at, deliveries, understood) VALUES
  (1, 'task_01a22a9635e670f983a219c9d7e85da8', x'673931b112a7bcdf0d178eefaf04306690c3cf491f2736b6bd919cedf489e38a', x'7b226d657373616765223a22566964656f20686173206265656e20646f776e6c6f616465642e2e2e222c227461736b4964223a2237376430653535322d383734642d346236612d626130362d663364323338616666336334222c22737461747573223a22535543434545444544227d', 1796010817110, 1796010817110, 1, 'succeeded'),
  (2, 'task_01a22a9635f477f3ae5bd648cf436108', x'0a21bb6ca38c46cd0541324809c611cdf5f4ec0771a133f56f3cb6eb25663f46', x'7b226d657373616765223a22566964656f20686173206265656e20646f776e6c6f616465642e2e2e222c227461736b4964223a2236313938323162312d633830302d343564342d393264652d356232353765666661653933222c22737461747573223a22535543434545444544227d', 1796010817118, 1796010817122, 2, 'succeeded'),
  (3, 'task_01a22a9635e670f983a219c9d7e85da8', x'c233a8c57c3f39f442f72cdadfc3e5e1a00cbb68dc1564ab05f6ef2058b1a5b8', x'7b22766964656f4964223a225649313236383631383731343739323536383436222c226d657373616765223a22566964656f20696e646578696e672073756363656564222c227461736b4964223a2237376430653535322d383734642d346236612d626130362d663364323338616666336334222c22737461747573223a22494e444558494e475f535543434545444544227d', 1796010817124, 1796010817127, 2, 'video_indexed'),
  (4, 'task_01a22a9635ff7078aa88e86696311104', x'cb92f5cfc3e8dc3c9fedde158866dfab32e8c8f56cb78b73d9086de2df06eea9', x'7b226d657373616765223a22566964656f20686173206265656e20646f776e6c6f616465642e2e2e222c227461736b4964223a2237383439653432642d353639622d343763652d383966612d303430363631343535613363222c22737461747573223a22535543434545444544227d', 1796010817129, 1796010817136, 2, 'succeeded'),
  (5, 'task_01a22a9635e670f983a219c9d7e85da8', x'e011b2d5b1df4b382849c5e260a7e14eb38d7b6a683128363c8e1a58d88a4a01', x'7b22766964656f4964223a225649343531303635313937333339393034383037222c226d657373616765223a22566964656f20696e646578696e672073756363656564222c227461736b4964223a2237376430653535322d383734642d346236612d626130362d663364323338616666336334222c22737461747573223a22494e444558494e475f535543434545444544227d', 1796010817324, 1796010817324, 1, 'video_indexed'),
  (6, 'task_01a22a9635f477f3ae5bd648cf436108', x'f25a5bac6b9502fa907b372234abb1fa8c5b95e1caff812544e73a98d0fb54dd', x'7b22766964656f4964223a225649323231383538383239343330383933313233222c226d657373616765223a22566964656f20696e646578696e672073756363656564222c227461736b4964223a2236313938323162312d633830302d343564342d393264652d356232353765666661653933222c22737461747573223a22494e444558494e475f535543434545444544227d', 1796010817332, 1796010817337, 2, 'video_indexed'),
  (7, 'task_01a22a9635ff7078aa88e86696311104', x'd4e814cc42b4871ad695d81995b74fb86b31f1a386e028b2d0bee69e08e01ea2', x'7b22766964656f4964223a225649313637363338343633363639313432393632222c226d657373616765223a22566964656f20696e646578696e672073756363656564222c227461736b4964223a2237383439653432642d353639622d343763652d383966612d303430363631343535613363222c22737461747573223a22494e444558494e475f535543434545444544227d', 1796010817340, 1796010817344, 2, 'video_indexed'),
  (8, 'task_01a22a96378d762f8b443a1c994792f6', x'4a471c591f0baf0df64b81cbade5ea2cc1ce76bed4a3e7ce0f9d50cfa5896e8a', x'7b226d657373616765223a22566964656f20686173206265656e20646f776e6c6f616465642e2e2e222c227461736b4964223a2262343237663462382d643565342d346234652d393439352d653461343936326234326632222c22737461747573223a22535543434545444544227d', 1796010817531, 1796010817531, 1, 'succeeded'),
  (9, 'task_01a22a963798734a887f8037f2473799', x'3faf38172393ef20d316746b3eb7180d274e019701ff5d88bc2032653990e7f7', x'7b226d657373616765223a22566964656f20686173206265656e20646f776e6c6f616465642e2e2e222c227461736b4964223a2238633837303164332d326539342d343965352d623366662d303638653932383364346338222c22737461747573223a22535543434545444544227d', 1796010817538, 1796010817538, 1, 'succeeded'),
  (10, 'task_01a22a9637a375afb9abbec7fe01412b', x'186e49f6cad6a63a1dd834112c229c675327da879a08d6bdf3797e3f49418f90', x'7b226d657373616765223a22566964656f20686173206265656e20646f776e6c6f616465642e2e2e222c227461736b4964223a2233393130306136322d666330342d343664362d383433642d3037643437613762653333385f3037656564643262363336616539353538613238616632666336373036373163222c22737461747573223a22535543434545444544227d', 1796010817551, 1796010817551, 1, 'succeeded'),
  (11, 'task_01a22a96378d762f8b443a1c994792f6', x'85ebf27894b101f2e05ea2d5b1a3f066de00870960e9db46099e3ac32d8e9cf3', x'7b22766964656f4964223a225649353334393739313039303031373333313936222c226d657373616765223a22566964656f20696e646578696e672073756363656564222c227461736b4964223a2262343237663462382d643565342d346234652d393439352d653461343936326234326632222c22737461747573223a22494e444558494e475f535543434545444544227d', 1796010817653, 1796010817653, 1, 'video_indexed'),
  (12, 'task_01a22a964028742f8b06fb69d88aa91f', x'383b6d055269d4405243cd187a2249d3da19805c1a2d77f378c7e840915587d5', x'7b226d657373616765223a22566964656f20686173206265656e20646f776e6c6f616465642e2e2e222c227461736b4964223a2235633536383132642d336164332d346339622d613062362d356161656562373366616362222c22737461747573223a22535543434545444544227d', 1796010819737, 1796010819756, 2, 'succeeded'),
  (13, 'task_01a22a96403372beaa27088cbbdd2f81', x'8d6055762d3dfdd4d3908f7b5c2920810a02fc58343aef39972cf2eabc8f0cd8', x'7b226d657373616765223a22566964656f20686173206265656e20646f776e6c6f616465642e2e2e222c227461736b4964223a2239383033643536612d326461642d343831302d383064382d636233393433386538353430222c22737461747573223a22535543434545444544227d', 1796010819742, 1796010819759, 2, 'succeeded'),
  (14, 'task_01a22a96403e76829ca753e84bb3cffc', x'b794fbe50a7c8ac6d3e5d7b89a67f75f8dac5fdf42b9c052bc54c3d722ea86ed', x'7b226d657373616765223a22566964656f20686173206265656e20646f776e6c6f616465642e2e2e222c227461736b4964223a2230373665303166622d353133302d343034312d386262622d3563323965333935303232665f3430336661343631626132303536366136393238376239666139303533346530222c22737461747573223a22535543434545444544227d', 1796010819756, 1796010819756, 1, 'succeeded');

INSERT INTO quarantine (id, upstream_id, body_hash, body, first_received_at, last_received_at, deliveries, looks, look_at) VALUES
  (1, 'a-stranger', x'a1db41a35d8fb75a86546e28c53730f7ef7be9a5f3c991bec889e54ffb33b079', x'7b227461736b4964223a22612d737472616e676572222c22737461747573223a22535543434545444544227d', 1796010821650, 1796010821650, 1, 1, 1796010822659);

INSERT INTO pauses (scope, code, message, since, probe_at, probes) VALUES
  ('all', 'unconfirmed', 'nobody knows whether the last submits arrived: more of them could be charged for nothing', 1796010821575, 1796010851575, 0),
  ('operator', 'operator', 'paused by an operator', 1796010821613, 1796010851613, 0);

INSERT INTO events (seq, kind, source, job_id, task_id, upstream_id, video_id, at, message) VALUES
  (1, 'job.created', 'operator', 'job_01a22a9635e172ba8d700170ff9a1708', NULL, NULL, NULL, 1796010816993, NULL),
  (2, 'task.submitting', 'submit', 'job_01a22a9635e172ba8d700170ff9a1708', 'task_01a22a9635e670f983a219c9d7e85da8', NULL, NULL, 1796010816998, NULL),
  (3, 'task.accepted', 'submit', 'job_01a22a9635e172ba8d700170ff9a1708', 'task_01a22a9635e670f983a219c9d7e85da8', '77d0e552-874d-4b6a-ba06-f3d238aff3c4', NULL, 1796010817007, NULL),
  (4, 'task.submitting', 'submit', 'job_01a22a9635e172ba8d700170ff9a1708', 'task_01a22a9635f477f3ae5bd648cf436108', NULL, NULL, 1796010817012, NULL),
  (5, 'task.accepted', 'submit', 'job_01a22a9635e172ba8d700170ff9a1708', 'task_01a22a9635f477f3ae5bd648cf436108', '619821b1-c800-45d4-92de-5b257effae93', NULL, 1796010817017, NULL),
  (6, 'task.submitting', 'submit', 'job_01a22a9635e172ba8d700170ff9a1708', 'task_01a22a9635ff7078aa88e86696311104', NULL, NULL, 1796010817023, NULL),
  (7, 'task.accepted', 'submit', 'job_01a22a9635e172ba8d700170ff9a1708', 'task_01a22a9635ff7078aa88e86696311104', '7849e42d-569b-47ce-89fa-040661455a3c', NULL, 1796010817028, NULL),
  (8, 'task.downloaded', 'callback', 'job_01a22a9635e172ba8d700170ff9a1708', 'task_01a22a9635e670f983a219c9d7e85da8', '77d0e552-874d-4b6a-ba06-f3d238aff3c4', NULL, 1796010817110, NULL),
  (9, 'task.downloaded', 'callback', 'job_01a22a9635e172ba8d700170ff9a1708', 'task_01a22a9635f477f3ae5bd648cf436108', '619821b1-c800-45d4-92de-5b257effae93', NULL, 1796010817118, NULL),
  (10, 'video.indexed', 'callback', 'job_01a22a9635e172ba8d700170ff9a1708', 'task_01a22a9635e670f983a219c9d7e85da8', '77d0e552-874d-4b6a-ba06-f3d238aff3c4', 'VI126861871479256846', 1796010817124, NULL),
  (11, 'task.downloaded', 'callback', 'job_01a22a9635e172ba8d700170ff9a1708', 'task_01a22a9635ff7078aa88e86696311104', '7849e42d-569b-47ce-89fa-040661455a3c', NULL, 1796010817129, NULL),
  (12, 'video.indexed', 'callback', 'job_01a22a9635e172ba8d700170ff9a1708', 'task_01a22a9635e670f983a219c9d7e85da8', '77d0e552-874d-4b6a-ba06-f3d238aff3c4', 'VI451065197339904807', 1796010817324, NULL),
  (13, 'video.indexed', 'callback', 'job_01a22a9635e172ba8d700170ff9a1708', 'task_01a22a9635f477f3ae5bd648cf436108', '619821b1-c800-45d4-92de-5b257effae93', 'VI221858829430893123', 1796010817332, NULL),
  (14, 'video.indexing', 'poll', 'job_01a22a9635e172ba8d700170ff9a1708', 'task_01a22a9635e670f983a219c9d7e85da8', '77d0e552-874d-4b6a-ba06-f3d238aff3c4', 'VI419961664649177186', 1796010817326, NULL),
  (15, 'task.settled', 'poll', 'job_01a22a9635e172ba8d700170ff9a1708', 'task_01a22a9635e670f983a219c9d7e85da8', '77d0e552-874d-4b6a-ba06-f3d238aff3c4', NULL, 1796010817326, 'indexed'),
  (16, 'task.settled', 'callback', 'job_01a22a9635e172ba8d700170ff9a1708', 'task_01a22a9635f477f3ae5bd648cf436108', '619821b1-c800-45d4-92de-5b257effae93', NULL, 1796010817332, 'indexed'),
  (17, 'video.indexed', 'callback', 'job_01a22a9635e172ba8d700170ff9a1708', 'task_01a22a9635ff7078aa88e86696311104', '7849e42d-569b-47ce-89fa-040661455a3c', 'VI167638463669142962', 1796010817340, NULL),
  (18, 'task.settled', 'callback', 'job_01a22a9635e172ba8d700170ff9a1708', 'task_01a22a9635ff7078aa88e86696311104', '7849e42d-569b-47ce-89fa-040661455a3c', NULL, 1796010817340, 'indexed'),
  (19, 'job.settled', 'callback', 'job_01a22a9635e172ba8d700170ff9a1708', NULL, NULL, NULL, 1796010817340, 'done'),
  (20, 'video.indexing', 'poll', 'job_01a22a9635e172ba8d700170ff9a1708', 'task_01a22a9635ff7078aa88e86696311104', '7849e42d-569b-47ce-89fa-040661455a3c', 'VI187340700546197425', 1796010817348, NULL),
  (21, 'job.created', 'operator', 'job_01a22a96378a74a2b3110811f037affb', NULL, NULL, NULL, 1796010817418, NULL),
  (22, 'task.submitting', 'submit', 'job_01a22a96378a74a2b3110811f037affb', 'task_01a22a96378d762f8b443a1c994792f6', NULL, NULL, 1796010817421, NULL),
  (23, 'task.accepted', 'submit', 'job_01a22a96378a74a2b3110811f037affb', 'task_01a22a96378d762f8b443a1c994792f6', 'b427f4b8-d5e4-4b4e-9495-e4a4962b42f2', NULL, 1796010817429, NULL),
  (24, 'task.submitting', 'submit', 'job_01a22a96378a74a2b3110811f037affb', 'task_01a22a963798734a887f8037f2473799', NULL, NULL, 1796010817432, NULL),
  (25, 'task.accepted', 'submit', 'job_01a22a96378a74a2b3110811f037affb', 'task_01a22a963798734a887f8037f2473799', '8c8701d3-2e94-49e5-b3ff-068e9283d4c8', NULL, 1796010817437, NULL),
  (26, 'task.submitting', 'submit', 'job_01a22a96378a74a2b3110811f037affb', 'task_01a22a9637a375afb9abbec7fe01412b', NULL, NULL, 1796010817443, NULL),
  (27, 'task.accepted', 'submit', 'job_01a22a96378a74a2b3110811f037affb', 'task_01a22a9637a375afb9abbec7fe01412b', '39100a62-fc04-46d6-843d-07d47a7be338_07eedd2b636ae9558a28af2fc670671c', NULL, 1796010817450, NULL),
  (28, 'task.downloaded', 'callback', 'job_01a22a96378a74a2b3110811f037affb', 'task_01a22a96378d762f8b443a1c994792f6', 'b427f4b8-d5e4-4b4e-9495-e4a4962b42f2', NULL, 1796010817531, NULL),
  (29, 'task.downloaded', 'callback', 'job_01a22a96378a74a2b3110811f037affb', 'task_01a22a963798734a887f8037f2473799', '8c8701d3-2e94-49e5-b3ff-068e9283d4c8', NULL, 1796010817538, NULL),
  (30, 'task.downloaded', 'callback', 'job_01a22a96378a74a2b3110811f037affb', 'task_01a22a9637a375afb9abbec7fe01412b', '39100a62-fc04-46d6-843d-07d47a7be338_07eedd2b636ae9558a28af2fc670671c', NULL, 1796010817551, NULL),
  (31, 'video.indexed', 'callback', 'job_01a22a96378a74a2b3110811f037affb', 'task_01a22a96378d762f8b443a1c994792f6', 'b427f4b8-d5e4-4b4e-9495-e4a4962b42f2', 'VI534979109001733196', 1796010817653, NULL),
  (32, 'task.settled', 'callback', 'job_01a22a96378a74a2b3110811f037affb', 'task_01a22a96378d762f8b443a1c994792f6', 'b427f4b8-d5e4-4b4e-9495-e4a4962b42f2', NULL, 1796010817653, 'indexed'),
  (33, 'video.failed', 'poll', 'job_01a22a9635e172ba8d700170ff9a1708', 'task_01a22a9635e670f983a219c9d7e85da8', '77d0e552-874d-4b6a-ba06-f3d238aff3c4', 'VI419961664649177186', 1796010818328, 'upstream could not index it'),
  (34, 'video.failed', 'poll', 'job_01a22a9635e172ba8d700170ff9a1708', 'task_01a22a9635ff7078aa88e86696311104', '7849e42d-569b-47ce-89fa-040661455a3c', 'VI187340700546197425', 1796010818351, 'upstream could not index it'),
  (35, 'video.failed', 'poll', 'job_01a22a96378a74a2b3110811f037affb', 'task_01a22a963798734a887f8037f2473799', '8c8701d3-2e94-49e5-b3ff-068e9283d4c8', 'VI809306970637932360', 1796010818540, 'upstream could not index it'),
  (36, 'task.failed', 'poll', 'job_01a22a96378a74a2b3110811f037affb', 'task_01a22a963798734a887f8037f2473799', '8c8701d3-2e94-49e5-b3ff-068e9283d4c8', NULL, 1796010818540, 'video_failed: upstream could not index it'),
  (37, 'task.settled', 'poll', 'job_01a22a96378a74a2b3110811f037affb', 'task_01a22a963798734a887f8037f2473799', '8c8701d3-2e94-49e5-b3ff-068e9283d4c8', NULL, 1796010818540, 'failed'),
  (38, 'task.failed', 'poll', 'job_01a22a96378a74a2b3110811f037affb', 'task_01a22a9637a375afb9abbec7fe01412b', '39100a62-fc04-46d6-843d-07d47a7be338_07eedd2b636ae9558a28af2fc670671c', NULL, 1796010819555, 'no_video: upstream made no video of it'),
  (39, 'task.settled', 'poll', 'job_01a22a96378a74a2b3110811f037affb', 'task_01a22a9637a375afb9abbec7fe01412b', '39100a62-fc04-46d6-843d-07d47a7be338_07eedd2b636ae9558a28af2fc670671c', NULL, 1796010819555, 'failed'),
  (40, 'job.settled', 'poll', 'job_01a22a96378a74a2b3110811f037affb', NULL, NULL, NULL, 1796010819555, 'partial'),
  (41, 'job.created', 'operator', 'job_01a22a96402570b4992829e66466d4f4', NULL, NULL, NULL, 1796010819621, NULL),
  (42, 'task.submitting', 'submit', 'job_01a22a96402570b4992829e66466d4f4', 'task_01a22a964028742f8b06fb69d88aa91f', NULL, NULL, 1796010819624, NULL),
  (43, 'task.accepted', 'submit', 'job_01a22a96402570b4992829e66466d4f4', 'task_01a22a964028742f8b06fb69d88aa91f', '5c56812d-3ad3-4c9b-a0b6-5aaeeb73facb', NULL, 1796010819631, NULL),
  (44, 'task.submitting', 'submit', 'job_01a22a96402570b4992829e66466d4f4', 'task_01a22a96403372beaa27088cbbdd2f81', NULL, NULL, 1796010819635, NULL),
  (45, 'task.accepted', 'submit', 'job_01a22a96402570b4992829e66466d4f4', 'task_01a22a96403372beaa27088cbbdd2f81', '9803d56a-2dad-4810-80d8-cb39438e8540', NULL, 1796010819640, NULL),
  (46, 'task.submitting', 'submit', 'job_01a22a96402570b4992829e66466d4f4', 'task_01a22a96403e76829ca753e84bb3cffc', NULL, NULL, 1796010819646, NULL),
  (47, 'task.accepted', 'submit', 'job_01a22a96402570b4992829e66466d4f4', 'task_01a22a96403e76829ca753e84bb3cffc', '076e01fb-5130-4041-8bbb-5c29e395022f_403fa461ba20566a69287b9fa90534e0', NULL, 1796010819652, NULL),
  (48, 'task.downloaded', 'callback', 'job_01a22a96402570b4992829e66466d4f4', 'task_01a22a964028742f8b06fb69d88aa91f', '5c56812d-3ad3-4c9b-a0b6-5aaeeb73facb', NULL, 1796010819737, NULL),
  (49, 'task.downloaded', 'callback', 'job_01a22a96402570b4992829e66466d4f4', 'task_01a22a96403372beaa27088cbbdd2f81', '9803d56a-2dad-4810-80d8-cb39438e8540', NULL, 1796010819742, NULL),
  (50, 'task.downloaded', 'callback', 'job_01a22a96402570b4992829e66466d4f4', 'task_01a22a96403e76829ca753e84bb3cffc', '076e01fb-5130-4041-8bbb-5c29e395022f_403fa461ba20566a69287b9fa90534e0', NULL, 1796010819756, NULL),
  (51, 'video.failed', 'poll', 'job_01a22a96402570b4992829e66466d4f4', 'task_01a22a964028742f8b06fb69d88aa91f', '5c56812d-3ad3-4c9b-a0b6-5aaeeb73facb', 'VI154564111223996186', 1796010820739, 'upstream could not index it'),
  (52, 'task.failed', 'poll', 'job_01a22a96402570b4992829e66466d4f4', 'task_01a22a964028742f8b06fb69d88aa91f', '5c56812d-3ad3-4c9b-a0b6-5aaeeb73facb', NULL, 1796010820739, 'video_failed: upstream could not index it'),
  (53, 'task.settled', 'poll', 'job_01a22a96402570b4992829e66466d4f4', 'task_01a22a964028742f8b06fb69d88aa91f', '5c56812d-3ad3-4c9b-a0b6-5aaeeb73facb', NULL, 1796010820739, 'failed'),
  (54, 'video.failed', 'poll', 'job_01a22a96402570b4992829e66466d4f4', 'task_01a22a96403372beaa27088cbbdd2f81', '9803d56a-2dad-4810-80d8-cb39438e8540', 'VI831520072945048374', 1796010820750, 'upstream could not index it'),
  (55, 'task.failed', 'poll', 'job_01a22a96402570b4992829e66466d4f4', 'task_01a22a96403372beaa27088cbbdd2f81', '9803d56a-2dad-4810-80d8-cb39438e8540', NULL, 1796010820750, 'video_failed: upstream could not index it'),
  (56, 'task.settled', 'poll', 'job_01a22a96402570b4992829e66466d4f4', 'task_01a22a96403372beaa27088cbbdd2f81', '9803d56a-2dad-4810-80d8-cb39438e8540', NULL, 1796010820750, 'failed'),
  (57, 'video.failed', 'poll', 'job_01a22a96402570b4992829e66466d4f4', 'task_01a22a96403e76829ca753e84bb3cffc', '076e01fb-5130-4041-8bbb-5c29e395022f_403fa461ba20566a69287b9fa90534e0', 'VI576521992989829064', 1796010820774, 'upstream could not index it'),
  (58, 'task.failed', 'poll', 'job_01a22a96402570b4992829e66466d4f4', 'task_01a22a96403e76829ca753e84bb3cffc', '076e01fb-5130-4041-8bbb-5c29e395022f_403fa461ba20566a69287b9fa90534e0', NULL, 1796010820774, 'video_failed: upstream could not index it'),
  (59, 'task.settled', 'poll', 'job_01a22a96402570b4992829e66466d4f4', 'task_01a22a96403e76829ca753e84bb3cffc', '076e01fb-5130-4041-8bbb-5c29e395022f_403fa461ba20566a69287b9fa90534e0', NULL, 1796010820774, 'failed'),
  (60, 'job.settled', 'poll', 'job_01a22a96402570b4992829e66466d4f4', NULL, NULL, NULL, 1796010820774, 'partial'),
  (61, 'job.created', 'operator', 'job_01a22a9647ab7363a76fc2964ad36e14', NULL, NULL, NULL, 1796010821547, NULL),
  (62, 'task.submitting', 'submit', 'job_01a22a9647ab7363a76fc2964ad36e14', 'task_01a22a9647af717c872ad7cf0e0435de', NULL, NULL, 1796010821551, NULL),
  (63, 'task.unconfirmed', 'submit', 'job_01a22a9647ab7363a76fc2964ad36e14', 'task_01a22a9647af717c872ad7cf0e0435de', NULL, NULL, 1796010821562, 'no_answer: the connection was cut before an answer came; upstream may have charged for it'),
  (64, 'task.submitting', 'submit', 'job_01a22a9647ab7363a76fc2964ad36e14', 'task_01a22a9647bf75b987f915ac028d3fd1', NULL, NULL, 1796010821567, NULL),
  (65, 'sending.paused', 'submit', NULL, NULL, NULL, NULL, 1796010821575, 'all: unconfirmed: nobody knows whether the last submits arrived: more of them could be charged for nothing'),
  (66, 'task.unconfirmed', 'submit', 'job_01a22a9647ab7363a76fc2964ad36e14', 'task_01a22a9647bf75b987f915ac028d3fd1', NULL, NULL, 1796010821575, 'no_answer: the connection was cut before an answer came; upstream may have charged for it'),
  (67, 'sending.paused', 'operator', NULL, NULL, NULL, NULL, 1796010821613, 'paused by an operator'),
  (68, 'job.canceled', 'operator', 'job_01a22a9647ab7363a76fc2964ad36e14', NULL, NULL, NULL, 1796010821617, 'canceled by an operator'),
  (69, 'job.created', 'operator', 'job_01a22a9647fd75fd9e7ce5c616698076', NULL, NULL, NULL, 1796010821629, NULL),
  (70, 'task.queued', 'operator', 'job_01a22a96402570b4992829e66466d4f4', 'task_01a22a96480574b69f6f200f8b792de1', NULL, NULL, 1796010821637, 'retry of task_01a22a96403e76829ca753e84bb3cffc, asked for by an operator'),
  (71, 'job.reopened', 'operator', 'job_01a22a96402570b4992829e66466d4f4', NULL, NULL, NULL, 1796010821637, NULL);

INSERT INTO due_rounds (round, at, source) VALUES
  (1, 1796010821637, 'callback');

INSERT INTO due_counts (job, at, source) VALUES
  (1, 1796010821637, 'callback');

INSERT INTO api_keys (number, name, clock) VALUES
  (1, '', 150);

INSERT INTO queue_groups (number, key, priority, line, waiting, served, turn, is_paused) VALUES
  (1, 1, 1, 6, 1, 3, 1, 0),
  (2, 1, 1, 7, 1, 0, 0, 0);

INSERT INTO places (grp, kind, turn, round) VALUES
  (1, 1, 0, 14),
  (2, 1, 0, 15);

INSERT INTO queue_classes (key, priority, since) VALUES
  (1, 1, 0);

INSERT INTO queue (clock, requests) VALUES
  (100, 7);

-- Somebody has just made this job urgent, and its URLs have not taken that over.
UPDATE jobs SET priority = 0 WHERE number = 5;
INSERT INTO due_priorities (job, after_position, at) VALUES
  (5, -1, 1796010821637);

UPDATE jobs SET key = (SELECT number FROM api_keys WHERE name = ifnull(created_by, ''));
UPDATE tasks SET key = (SELECT jobs.key FROM jobs WHERE jobs.id = tasks.job_id) WHERE state = 'queued';

UPDATE jobs SET callback_url = 'https://example.com/scraped?token=x', callback_events = '["job.settled"]' WHERE number = 1;
INSERT INTO subscribers (id, name, is_configured, created_at, url, events, labels, format, secret, after, failing_since)
VALUES ('sub_01a22a9635e172ba8d700170ff9a1708', 'chat', 0, 1796010821637, 'https://example.com/chat', '["*"]', '{}', 'slack',
  'whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=', 0, 1796010821637);
INSERT INTO deliveries (subscriber, job, key, seq, receiver, ahead, state, attempts, created_at, first_attempt_at,
  last_attempt_at, next_attempt_at, ended_at, status, reason) VALUES
  (0, 1, '1', 1, 'example.com', 0, 1, 1, 1796010821637, 1796010821637, 1796010821637, 1796010821642, NULL, 500, 'HTTP 500'),
  (0, 1, '2', 2, 'example.com', 0, 2, 1, 1796010821637, 1796010821637, 1796010821637, 1796010821637, 1796010821700, 200, NULL),
  (1, 1, '1', 1, 'subscriber 1', 0, 1, 1, 1796010821637, 1796010821637, 1796010821637, 1796010821642, NULL, NULL, 'no answer within 15s'),
  (1, 1, '2', 2, 'subscriber 1', 1, 1, 0, 1796010821637, NULL, NULL, 1796010821637, NULL, NULL, NULL);
INSERT INTO delivery_order (subscriber, job, delivery) VALUES (0, 1, 1), (1, 1, 3), (1, 1, 4);
INSERT INTO meta (key, value) VALUES ('forwarded_to', '2');
INSERT INTO sessions (hash, mark, created_at, used_at) VALUES
  (X'0102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f20', X'2122232425262728292a2b2c2d2e2f303132333435363738393a3b3c3d3e3f40', 1796010821637, 1796010821637);
