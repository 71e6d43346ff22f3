// Batches of Super Mario Bros. for tests: rules and config in one.
#pragma once

#include <memory>
#include <utility>

#include "batch/game_batch.h"
#include "smb/super_mario.h"

namespace mario {

namespace batch = warpzone::batch;
namespace smb = warpzone::smb;

struct Config : batch::Config {
  smb::Rules rules;
};

class Batch : public batch::GameBatch<smb::SuperMario> {
 public:
  Batch(std::shared_ptr<smb::LevelStarts> levels, const Config& config)
      : batch::GameBatch<smb::SuperMario>({std::move(levels), config.rules}, config) {}
};

}  // namespace mario
